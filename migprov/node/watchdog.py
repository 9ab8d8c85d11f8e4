"""A limit for calls that may never return: a driver that hangs cannot be interrupted, only left."""

from __future__ import annotations

import threading
from typing import Callable, Optional


class Watchdog:
    """Calls ``expired`` from a thread of its own when the guarded block takes longer than ``limit_s`` seconds.

    ``expired`` is expected to say what is known and to end the process: the block itself cannot be ended.
    """

    def __init__(self, limit_s: float, expired: Callable[[], None]) -> None:
        self._limit_s = limit_s
        self._expired = expired
        self._timer: Optional[threading.Timer] = None

    def __enter__(self) -> Watchdog:
        self._timer = threading.Timer(self._limit_s, self._expired)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
