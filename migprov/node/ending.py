"""Waiting for a process, and ending one. A process is known by its pid and its start time, never by the pid alone."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Callable, Optional, Sequence, Set

from ..mig.errors import GpuBusy
from ..mig.steps import Step
from . import processes
from .errors import Stopped

_PAUSE_S = 0.05
_PAUSE_UNSEEN_S = 0.5  # the driver is asked, who has other things to do
_AFTER_KILL_S = 10.0


def _never() -> bool:
    return False


def wait(
    step: Step,
    deadline: float,
    told_to_end: Callable[[], bool] = _never,
    listed: Optional[Callable[[], bool]] = None,
) -> None:
    """Wait until the step's process has ended; raises GpuBusy at the deadline (of time.monotonic).

    Raises Stopped as soon as ``told_to_end`` is true. ``listed``: whether the driver still lists it, which alone tells
    of a process that cannot be seen from here.
    """
    unseen = step.start_ticks is None and listed is not None
    while listed() if unseen and listed is not None else runs(step):
        _go_on(step, told_to_end)
        if time.monotonic() >= deadline:
            raise GpuBusy(
                "process %s (%s, user %s) still runs at the end of the time given for it"
                % (step.pid, step.command, step.user),
                next="run again later, give more time, or choose the drain policy terminate",
            )
        time.sleep(_PAUSE_UNSEEN_S if unseen else _PAUSE_S)


def ask(wanted: Sequence[Step]) -> None:
    """SIGTERM for the processes of these steps. Raises GpuBusy, and asks nobody, when one of them may not be ended."""
    here = [step for step in wanted if runs(step)]
    for step in here:
        _signal(step, 0)
    for step in here:
        if runs(step):
            _signal(step, signal.SIGTERM)


def end(step: Step, deadline: float, told_to_end: Callable[[], bool] = _never) -> None:
    """Wait for a process that was asked to end, at the deadline SIGKILL. Raises GpuBusy when it is still there then.

    Raises Stopped when ``told_to_end`` is true before the deadline.
    """
    while runs(step) and time.monotonic() < deadline:
        _go_on(step, told_to_end)
        time.sleep(_PAUSE_S)
    if not runs(step):
        return
    _signal(step, signal.SIGKILL)
    limit = time.monotonic() + _AFTER_KILL_S
    while runs(step):
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


def runs(step: Step) -> bool:
    """Whether the step's very process is still there."""
    return step.pid is not None and step.start_ticks is not None and processes.is_running(step.pid, step.start_ticks)


def _signal(step: Step, number: int) -> None:
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
