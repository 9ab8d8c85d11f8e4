"""Processes known by more than their number, so that a recycled pid is never signalled."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_GONE = -1


@dataclass(frozen=True)
class Process:
    """One process: its pid, start time (clock ticks since boot) and program (`None`: not readable by us)."""

    pid: int
    start: int
    exe: str | None

    @property
    def key(self) -> tuple[int, int]:
        """What stays the same when it runs another program."""
        return self.pid, self.start

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


def end(find: Callable[[], Iterable[Process]], seconds: float = 10.0) -> list[Process]:
    """End all that `find` names, as a power cut does. Returns what still runs after `seconds`.

    First everything is stopped, until `find` names nothing new: what is stopped starts nothing that would be
    missed. Then it is killed.
    """
    with contextlib.ExitStack() as stack:
        handles: dict[tuple[int, int], int] = {}
        found: dict[int, Process] = {}
        while new := [each for each in find() if each.key not in handles]:
            for process in new:
                handles[process.key] = handle = _open(process)
                if handle != _GONE:
                    stack.callback(os.close, handle)
                    found[handle] = process
                    _signal(handle, signal.SIGSTOP)
        for handle in found:
            _signal(handle, signal.SIGKILL)
        return _wait(found, seconds)


def _open(process: Process) -> int:
    """A handle that means this very process for as long as it is open, or _GONE."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return _GONE
    now = identify(process.pid)
    if now is not None and now.key == process.key:
        return handle
    os.close(handle)
    return _GONE


def _signal(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(handle, number)


def _wait(handles: dict[int, Process], seconds: float) -> list[Process]:
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
    return list(left.values())
