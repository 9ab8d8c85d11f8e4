"""Where the rolls of this user are recorded, who holds one, and which process still works for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from ...errors import BadRequest, MigprovError

ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", re.ASCII)
LOCK = "lock"
_STARTING = "starting"
_LOOKS = 20
_LOOK_S = 0.01
_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


class CannotRecord(MigprovError):
    """The record cannot be kept. Nothing is changed without one."""


def rolls_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`~/.local/state/migprov/rolls`; `XDG_STATE_HOME` counts where it is an absolute path.

    Raises:
        BadRequest: there is neither.
    """
    state = environment.get("XDG_STATE_HOME", "")
    try:
        base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    except RuntimeError:
        raise BadRequest(
            f"Rolls are recorded in the home folder, and this machine knows none of the user {os.getuid()}.",
            next="set HOME, or XDG_STATE_HOME, in the environment.",
        ) from None
    return base / "migprov" / "rolls"


def ids(folder: Path) -> list[str]:
    """The ids of all rolls, oldest first."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(name for name in os.listdir(folder) if ID.fullmatch(name))
    return []


def new_id(now: datetime) -> str:
    """Such as `20260728-101502-3f9a`: sorts by time, and can be typed."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def make_private(folder: Path) -> None:
    """Make a folder of ours, for nobody else.

    Raises:
        CannotRecord: it cannot be made, or is somebody else's.
    """
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid != os.geteuid():
            raise CannotRecord(f"{folder} belongs to user {status.st_uid}; nothing was contacted.")
        if status.st_mode & 0o077:
            folder.chmod(_PRIVATE_FOLDER)
    except OSError as error:
        raise CannotRecord(f"The record of a roll cannot be kept in {folder}: {error.strerror}.") from error


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file of ours that nobody else may read.

    Raises:
        CannotRecord: it cannot be opened.
    """
    try:
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE_FILE)
    except OSError as error:
        raise CannotRecord(f"The record of a roll cannot be kept in {path}: {error.strerror}.") from error


def write_whole(path: Path, descriptor: int, data: bytes) -> None:
    """Write all of `data` and wait until it is on the disk. A disk that gets full takes a part and says nothing.

    Raises:
        CannotRecord: it cannot be written; `path` is how the error names it.
    """
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except OSError as error:
        raise CannotRecord(f"The record {path} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def starting(folder: Path) -> Iterator[None]:
    """Held while a roll looks for others and makes itself known, so that two cannot overlook each other."""
    make_private(folder)
    descriptor = open_private(folder / _STARTING, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def take(roll: Path) -> int | None:
    """Hold a roll until the descriptor is closed or this process dies; None when somebody else holds it."""
    descriptor = open_private(roll / LOCK, os.O_RDWR)
    for _ in range(_LOOKS):  # `is_held` holds it too, for the moment that it looks
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_S)
        else:
            return descriptor
    os.close(descriptor)
    return None


def is_held(roll: Path) -> bool:
    """Whether a process holds this roll: it is running."""
    try:
        descriptor = os.open(roll / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def start_ticks(pid: int) -> int | None:
    """When that process began, in clock ticks since boot; None when there is none, or only its corpse."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def chosen(folder: Path, id: str) -> Path:
    """The folder of the roll of that id, which may be shortened from the left.

    Raises:
        BadRequest: there is none, or several.
    """
    found = [name for name in ids(folder) if name == id or name.endswith(id)] if id else []
    if len(found) != 1:
        what = f"{len(found)} rolls end in" if found else "there is no roll"
        raise BadRequest(f"{what} {id!r} in {folder}", next="migprov status lists them")
    return folder / found[0]
