"""The folder of a simulated node: what lies in it, whether a place is free for one, whose it is."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import SimError

_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "nvidia-caps/nvidia-cap2")
_NAMES = ("bin", "lib", "dev", "sys", "proc", "cgroup", "units", "run", "state.writes", "state")


def check_free(folder: Path) -> None:
    """Raises SimError where a node would take the place of something, such as the machine's own /bin and /lib."""
    try:
        if (folder / "state").exists():
            raise SimError(f"{folder} already is a simulated node", next="choose another folder, or remove this one")
        there = [name for name in _NAMES if os.path.lexists(folder / name)]
    except OSError as problem:
        raise _no_place(folder, problem) from None
    if there:
        raise SimError(
            f"{folder} has {', '.join(there)} already, and is no simulated node",
            next="choose another folder, or an empty one",
        )


def make(folder: Path, gpus: int) -> None:
    """The folders of a node's programs, and its stand-in for /dev. Raises SimError where that cannot be."""
    try:
        for name in ("bin", "lib", "dev/nvidia-caps"):
            (folder / name).mkdir(parents=True)
    except OSError as problem:
        raise _no_place(folder, problem) from None
    for device in [*_DEVICES, *(f"nvidia{index}" for index in range(gpus))]:
        (folder / "dev" / device).touch()


def give(folder: Path, owner: int) -> None:
    """Let a node belong to another user: its own parts, and nothing else that the folder may hold."""
    for name in _NAMES:
        for path in (folder / name, *(folder / name).rglob("*")):
            if path.exists():
                os.chown(path, owner, -1, follow_symlinks=False)
    os.chown(folder, owner, -1)


def _no_place(folder: Path, problem: OSError) -> SimError:
    return SimError(f"a simulated node cannot be made in {folder}: {problem.strerror}", next="choose another folder")
