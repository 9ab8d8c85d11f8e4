"""Real processes that hold simulated GPUs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from . import build
from . import state as layout
from .errors import HoldRefused, SimError

MAX_UID = 2**32 - 1  # which itself means "as it is" to the kernel
_GRACE_S = 5.0
_START_LIMIT_S = 30


class Holder(int):
    """The pid of a process that holds a GPU, and what can be done with it."""

    _state: Path

    @property
    def pid(self) -> int:
        """The pid, as a plain number."""
        return int(self)

    @property
    def alive(self) -> bool:
        """Whether it still holds the GPU."""
        return any(process.pid == self for process in living(layout.read(self._state)))

    def release(self) -> None:
        """End it; nothing when it has ended already."""
        end(self._state, self)


def words_of(command: str | None, otherwise: str) -> list[str]:
    """The words of a command line, `otherwise` where there is none. Raises SimError."""
    try:
        words = shlex.split(command or "")
    except ValueError as problem:
        raise SimError(f"{command!r} is no command line: {problem}", next="close its quotation marks") from None
    if any("\0" in word for word in words):
        raise SimError(f"{command!r} is no command line: it holds a zero byte")
    return words or [otherwise]


def check_user(uid: int | None) -> None:
    """Raises SimError when no user can have that number, or a process of theirs cannot be made here."""
    if uid is None:
        return
    if not 0 <= uid < MAX_UID:
        raise SimError(f"no user has the number {uid}", next=f"name a uid from 0 to {MAX_UID - 1}")
    if os.geteuid() not in (0, uid):
        raise SimError(f"only root can make what belongs to user {uid}", next="leave the user out, or be root")


def living(node: layout.State) -> list[layout.Process]:
    """The node's processes that exist: a pid that another process has by now does not count."""
    return [process for process in node.processes if process.used and _start_time(process.pid) == process.start_time]


def start(
    state: Path,
    gpus: Sequence[int] | None,
    memory_mib: int,
    *,
    mig_uuid: str | None,
    kind: str,
    command: str | None,
    ignores_term: bool = False,
    user: int | None = None,
    cgroup: str | None = None,
) -> Holder:
    """Start the holder program, detached, and wait until it is in the node's state. Raises HoldRefused."""
    if kind not in layout.KINDS:
        raise SimError(f"a process cannot be {kind!r}", next=f"use one of: {', '.join(layout.KINDS)}")
    if memory_mib < 0 or (gpus is None and mig_uuid is None):
        raise SimError("a holder needs a GPU or a MIG device, and a size of 0 MiB or more")
    check_user(user)
    words = words_of(command, build.HOLDER)
    settings = {
        "MIGPROV_HOLD_STATE": str(state),
        "MIGPROV_HOLD_GPU": "-1" if mig_uuid or gpus is None else ",".join(map(str, gpus)),
        "MIGPROV_HOLD_MIG": mig_uuid or "",
        "MIGPROV_HOLD_BYTES": str(memory_mib << 20),
        "MIGPROV_HOLD_KIND": str(layout.KINDS.index(kind)),
        "MIGPROV_HOLD_SIGTERM": "ignore" if ignores_term else "",
        "MIGPROV_HOLD_UID": "" if user is None else str(user),
        "MIGPROV_HOLD_CGROUP": cgroup or "",
    }
    done = subprocess.run(
        words,
        executable=build.holder(),
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        timeout=_START_LIMIT_S,
        check=False,
        text=True,
    )
    answer, _, pid = done.stdout.strip().partition(" ")
    if answer != "ok":
        device = mig_uuid or f"GPU {', '.join(map(str, gpus or ()))}"
        raise HoldRefused(f"{device} with {memory_mib} MiB: {done.stdout.strip() or 'the holder did not start'}")
    holder = Holder(pid)
    holder._state = state
    return holder


def end(state: Path, pid: int, grace_s: float = _GRACE_S) -> bool:
    """End a process of the node: SIGTERM, after `grace_s` seconds SIGKILL. False when it is none of the node's."""
    found = [process for process in living(layout.read(state)) if process.pid == int(pid)]
    if not found:
        return False
    began = found[0].start_time
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _GRACE_S)):
        if wait_s == 0:
            continue
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        limit = time.monotonic() + wait_s
        while time.monotonic() < limit:
            if _start_time(pid) != began:
                return True
            time.sleep(0.002)
    raise SimError(f"process {pid} does not end")


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when there is no such process, or only a zombie of it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
