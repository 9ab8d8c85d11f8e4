"""A limit for calls that may never return: a driver that hangs cannot be interrupted, only left."""

from __future__ import annotations

import threading
from typing import Callable, Optional


class Watchdog:
    """Calls ``expired`` from a thread of its own when the guarded block takes longer than ``limit_s`` seconds.

    ``expired`` is expected to say what is known and to end the process: the block itself cannot be ended. Once it has
    begun, a block that comes back after all goes no further.
    """

    def __init__(self, limit_s: float, expired: Callable[[], None]) -> None:
        self._limit_s = limit_s
        self._expired = expired
        self._timer: Optional[threading.Timer] = None
        self._lock = threading.Lock()
        self._over = False
        self._fired = False

    def __enter__(self) -> Watchdog:
        self._timer = threading.Timer(self._limit_s, self._fire)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._over = True
        if self._timer is not None:
            self._timer.cancel()
            if self._fired:
                self._timer.join()

    def _fire(self) -> None:
        with self._lock:
            if self._over:
                return
            self._fired = True
        self._expired()
