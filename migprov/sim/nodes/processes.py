"""Processes known by more than their number, so that a recycled pid is never signalled."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process: its pid, start time (clock ticks since boot) and program (`None`: not readable by us)."""

    pid: int
    start: int
    exe: str | None

    @property
    def running(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return identify(self.pid) == self


def identify(pid: int) -> Process | None:
    """The process that has this pid now, or `None` when there is none or only a zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    exe = None
    with contextlib.suppress(OSError):
        exe = str((PROC / str(pid) / "exe").readlink()).removesuffix(" (deleted)")
    return Process(pid, int(fields[19]), exe)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5), field 3); the name before may hold spaces."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def command_line(pid: int) -> str:
    """The command line of a process as one text, empty when there is no such process."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def offspring(roots: Iterable[Process]) -> list[Process]:
    """Every process that descends from one of `roots`, without the roots."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        if fields := _stat(pid):
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[Process] = []
    queue = [root.pid for root in roots if root.running]
    while queue:
        for pid in children.get(queue.pop(), []):
            if process := identify(pid):
                found.append(process)
                queue.append(pid)
    return found


def marked(marks: Iterable[str]) -> list[Process]:
    """Every process that was started with one of these `NAME=value` in its environment."""
    wanted = {os.fsencode(mark) for mark in marks}
    found = []
    for pid in _pids():
        try:
            environment = (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if wanted.intersection(environment.split(b"\0")) and (process := identify(pid)):
            found.append(process)
    return found


def end(processes: Iterable[Process], grace: float = 5.0) -> list[Process]:
    """End processes: SIGTERM, up to `grace` seconds, SIGKILL. Returns those that run on nevertheless."""
    with contextlib.ExitStack() as stack:
        handles: dict[int, Process] = {}
        for process in dict.fromkeys(processes):
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(process.pid)
                stack.callback(os.close, handle)
                # The handle keeps meaning one process, so what is checked now is what is signalled later.
                if process.running:
                    handles[handle] = process
        for signum in (signal.SIGTERM, signal.SIGKILL):
            for handle in handles:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(handle, signum)
            handles = _wait(handles, grace)
        return list(handles.values())


def _wait(handles: dict[int, Process], seconds: float) -> dict[int, Process]:
    """Wait until all have ended or the time is up; returns those that have not."""
    left = dict(handles)
    poll = select.poll()
    for handle in left:
        poll.register(handle, select.POLLIN)
    deadline = time.monotonic() + seconds
    while left and (rest := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(rest * 1000):
            poll.unregister(handle)
            del left[handle]
    return left
