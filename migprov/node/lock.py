"""One change at a time on a node."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import time
from contextlib import contextmanager, suppress
from typing import Iterator, List, Optional

from .errors import Locked, NoPermission

_PAUSE_S = 0.1
_NAMING_S = 2.0  # more than the moment between taking the lock and writing the name
_held: List[int] = []


def home() -> str:
    """The home folder of the user this runs as; root's is the one that the machine gives, whatever HOME says.

    So there is one lock and one journal on a node. HOME counts for an ordinary user, where it is that user's own, and
    on simulated nodes (``MIGPROV_SYS`` tells), which share one machine and one root.
    """
    known = os.environ.get("HOME", "") if os.geteuid() != 0 or "MIGPROV_SYS" in os.environ else ""
    try:
        if os.path.isabs(known) and os.stat(known).st_uid == os.geteuid():
            return known
    except OSError:
        pass
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise NoPermission(
            "user %d has no home folder for the lock" % os.geteuid(), next="run as a user that has one"
        ) from None


def folder() -> str:
    """The folder that holds the lock and the program: ``~/.cache/migprov``."""
    return os.path.join(home(), ".cache", "migprov")


@contextmanager
def locked(wait_s: float) -> Iterator[None]:
    """Hold the node's lock; raises Locked, naming the holder, when it is not free within ``wait_s`` seconds.

    The lock is the kernel's (flock): it is free again when its holder ends, however it ends.
    """
    path = os.path.join(folder(), "lock")
    try:
        os.makedirs(folder(), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        _take(descriptor, time.monotonic() + wait_s, path)
        _held.append(descriptor)
        holder = {"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}
        with suppress(OSError):  # a full disk: the lock is held all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        try:
            yield
        finally:
            _held.remove(descriptor)
            with suppress(OSError):
                # nobody is to be told this name when the next holder has not written its own
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def let_go() -> None:
    """Free the lock before the program ends: a thread that hangs in the kernel keeps its files open for good."""
    for descriptor in _held:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def holder() -> Optional[str]:
    """Who holds the lock now, None when it is free; nothing is written, and nobody is made to wait.

    Raises NoPermission when the lock is there and cannot be opened, as ``locked`` would.
    """
    path = os.path.join(folder(), "lock")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        # shared, so that two who look do not see each other; a run that begins in this moment tries again
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor) or "it has not written its name"
    except OSError as error:
        raise _unusable(path, error) from None
    finally:
        os.close(descriptor)
    return None


def _unusable(path: str, error: OSError) -> NoPermission:
    return NoPermission(
        "the lock %s cannot be used: %s" % (path, error.strerror), next="mend that folder; nothing was changed"
    )


def _take(descriptor: int, deadline: float, path: str) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(descriptor) if time.monotonic() >= deadline else None
            if holder is not None or time.monotonic() >= deadline + _NAMING_S:
                raise Locked(
                    "another run of migprov is changing this node (%s)" % (holder or "it has not written its name"),
                    next="wait for it to end, then run again; nothing was changed",
                ) from None
        except OSError as error:  # a file system without locks
            raise _unusable(path, error) from None
        time.sleep(_PAUSE_S)


def _holder(descriptor: int) -> Optional[str]:
    """Who holds the lock, or None in the moment between taking it and writing the name."""
    try:
        data = json.loads(os.pread(descriptor, 4096, 0).decode("utf-8", "replace"))
        return "process %d, since %s" % (int(data["pid"]), str(data["since"])[:40])
    except (ValueError, KeyError, TypeError):
        return None
