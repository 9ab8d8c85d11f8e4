"""Waiting for a process, and ending one. A process is known by its pid and its start time, never by the pid alone."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Callable, Set

from ..mig.errors import GpuBusy
from ..mig.steps import Step
from . import processes
from .errors import Stopped

_PAUSE_S = 0.05
_AFTER_KILL_S = 10.0


def _never() -> bool:
    return False


def wait(step: Step, deadline: float, told_to_end: Callable[[], bool] = _never) -> None:
    """Wait until the step's process has ended; raises GpuBusy at the deadline (of time.monotonic).

    Raises Stopped as soon as ``told_to_end`` is true.
    """
    while _runs(step):
        _go_on(step, told_to_end)
        if time.monotonic() >= deadline:
            raise GpuBusy(
                "process %s (%s, user %s) still runs at the end of the time given for it"
                % (step.pid, step.command, step.user),
                next="run again later, give more time, or choose the drain policy terminate",
            )
        time.sleep(_PAUSE_S)


def end(step: Step, deadline: float, told_to_end: Callable[[], bool] = _never) -> None:
    """SIGTERM, at the deadline SIGKILL, and wait until the process is gone. Raises GpuBusy when it is not.

    Raises Stopped when ``told_to_end`` is true before the deadline: then the process has had its SIGTERM.
    """
    if not _runs(step):
        return
    _signal(step, signal.SIGTERM)
    while _runs(step) and time.monotonic() < deadline:
        _go_on(step, told_to_end)
        time.sleep(_PAUSE_S)
    if not _runs(step):
        return
    _signal(step, signal.SIGKILL)
    limit = time.monotonic() + _AFTER_KILL_S
    while _runs(step):
        if time.monotonic() >= limit:
            raise GpuBusy(
                "process %s (%s) does not end, not even by SIGKILL: it hangs in the kernel" % (step.pid, step.command),
                next="look at dmesg; a hung driver needs a reboot of the node",
            )
        time.sleep(_PAUSE_S)


def _go_on(step: Step, told_to_end: Callable[[], bool]) -> None:
    if told_to_end():
        raise Stopped(
            "the run was told to end while process %s (%s, user %s) was still there"
            % (step.pid, step.command, step.user),
            next="run again: it goes on from there",
        )


def end_children() -> None:
    """SIGKILL for what this program started and does not wait for any more, such as an nvidia-smi that hangs."""
    for pid in processes.children():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _runs(step: Step) -> bool:
    return step.pid is not None and step.start_ticks is not None and processes.is_running(step.pid, step.start_ticks)


def _signal(step: Step, number: signal.Signals) -> None:
    pid = step.pid or 0
    if pid <= 1 or pid in _ancestors():
        raise GpuBusy(
            "process %d (%s) is one that this run depends on and is not ended" % (pid, step.command),
            next="end it by hand",
        )
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise GpuBusy(
            "process %d (%s, user %s) may not be ended by this user" % (pid, step.command, step.user),
            next="run as root: become",
        ) from None


def _ancestors() -> Set[int]:
    found: Set[int] = set()
    pid = os.getpid()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = processes.parent(pid)
    return found
