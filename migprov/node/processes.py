"""What the kernel says of processes. Everything is read from ``/proc``; what is gone or hidden reads as None."""

from __future__ import annotations

import os
import pwd
import stat as modes
from typing import Dict, List, NamedTuple, Optional, Set

from .cgroup import place

_LONGEST = 300
_DELETED = " (deleted)"
_boot_time: List[float] = []


class Identity(NamedTuple):
    """Who a process is. ``start_ticks`` (clock ticks since boot) makes the pid unmistakable.

    ``started`` is seconds since the epoch; ``state`` is the kernel's letter, ``Z`` for a zombie.
    """

    pid: int
    start_ticks: int
    started: float
    state: str
    command: str
    arguments: str
    user: str
    unit: Optional[str]
    container: Optional[str]


def identity(pid: int) -> Optional[Identity]:
    """Who has this pid now, or None when nobody visible from this pid namespace does."""
    root = "/proc/%d" % pid
    stat = _text(root + "/stat")
    if stat is None or ")" not in stat:
        return None
    command = stat[stat.index("(") + 1 : stat.rindex(")")]
    fields = stat[stat.rindex(")") + 2 :].split()
    ticks = int(fields[19])
    try:
        uid = os.stat(root).st_uid
    except OSError:
        return None
    where = place(_cgroup(pid, ticks))
    words = (_text(root + "/cmdline") or "").replace("\0", " ").strip()
    return Identity(
        pid,
        ticks,
        round(_booted() + ticks / float(os.sysconf("SC_CLK_TCK")), 2),
        fields[0],
        _printable(command),
        _printable(words)[:_LONGEST],
        user_name(uid),
        where.unit,
        where.container,
    )


def parent(pid: int) -> int:
    """The pid of the process's parent, 0 when that is not visible."""
    stat = _text("/proc/%d/stat" % pid) or ""
    fields = stat[stat.rindex(")") + 2 :].split() if ")" in stat else []
    return int(fields[1]) if len(fields) > 1 else 0


def children() -> List[int]:
    """The pids of this process's own children."""
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent(int(name)) == own]


def is_running(pid: int, start_ticks: int) -> bool:
    """Whether that very process still runs: a zombie does not, nor does another that got its pid.

    A process whose first thread has ended shows as a zombie while its other threads go on: it runs.
    """
    now = identity(pid)
    if now is None or now.start_ticks != start_ticks:
        return False
    if now.state not in "ZX":
        return True
    try:
        return len(os.listdir("/proc/%d/task" % pid)) > 1
    except OSError:
        return False


def open_files(prefix: str) -> Dict[int, List[str]]:
    """The NVIDIA device files below ``prefix`` that each process has open, by pid; who has none is not in it."""
    all_found: Dict[int, List[str]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        found = _open_below(int(name), prefix)
        if found:
            all_found[int(name)] = sorted(found)
    return all_found


def has_no_file_of(pid: int, prefix: str) -> bool:
    """Whether the process is seen to have no NVIDIA device file open; False where that cannot be seen."""
    found = _open_below(pid, prefix)
    return found is not None and not found


def _open_below(pid: int, prefix: str) -> Optional[Set[str]]:
    """The NVIDIA device files, named below ``prefix``, that a process has open; None where that cannot be read.

    From a root of its own (chroot) a process opens the same devices by another path: then the device's kind tells.
    """
    folder = "/proc/%d/fd" % pid
    found: Set[str] = set()
    try:
        descriptors = os.listdir(folder)
        other = None if descriptors else _fd_of_a_thread(pid)
        if other is not None:
            folder, descriptors = other, os.listdir(other)
        for descriptor in descriptors:
            target = _link(folder + "/" + descriptor)
            if target is None:
                continue
            if target.endswith(_DELETED):  # the file was made anew since; the device is the same
                target = target[: -len(_DELETED)]
            if target.startswith(prefix + "nvidia"):
                found.add(target[len(prefix) :])
            elif "/dev/nvidia" in target and _is_device(folder + "/" + descriptor):
                found.add(target.rsplit("/dev/", 1)[1])
    except OSError:
        return None
    return found


def _fd_of_a_thread(pid: int) -> Optional[str]:
    """Where the open files of a process show whose first thread has ended; None where there is no other thread."""
    tasks = "/proc/%d/task" % pid
    if os.stat(tasks).st_nlink <= 3:  # itself, its parent, one thread: as every thread of the kernel
        return None
    return next(("%s/%s/fd" % (tasks, name) for name in os.listdir(tasks) if name != str(pid)), None)


def user_name(uid: int) -> str:
    """The user's name, or the number where this machine has no name for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _cgroup(pid: int, start_ticks: int) -> str:
    """The text of ``/proc/PID/cgroup``.

    A simulated node has its own in the folder named by ``MIGPROV_CGROUP``, in files named by pid and start time.
    """
    folder = os.environ.get("MIGPROV_CGROUP")
    path = "/proc/%d/cgroup" % pid if not folder else os.path.join(folder, "%d.%d" % (pid, start_ticks))
    return _text(path) or ""


def _booted() -> float:
    if not _boot_time:
        stat = _text("/proc/stat") or ""
        lines = [line for line in stat.splitlines() if line.startswith("btime ")]
        _boot_time.append(float(lines[0].split()[1]) if lines else 0.0)
    return _boot_time[0]


def _is_device(path: str) -> bool:
    try:
        return modes.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def _link(path: str) -> Optional[str]:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _text(path: str) -> Optional[str]:
    try:
        with open(path, "rb") as file:
            return file.read(65536).decode("utf-8", "replace")
    except OSError:
        return None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
