"""Waiting with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Deadline:
    """So many seconds from now. `poll_s`: how long to wait between two looks at the cluster."""

    def __init__(self, seconds: float, poll_s: float = 2.0) -> None:
        self.seconds = seconds
        self.poll_s = poll_s
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether there is no time left."""
        return time.monotonic() >= self._end

    def pause(self, seconds: float | None = None) -> None:
        """Wait, but not beyond the end."""
        wanted = self.poll_s if seconds is None else seconds
        time.sleep(max(0.0, min(wanted, self._end - time.monotonic())))

    def until(self, look: Callable[[], T | None]) -> T | None:
        """The first answer of `look` that is not None; None when the time is up. Looks at least once."""
        while True:
            # Whoever looks after the end has looked late enough.
            last = self.passed
            found = look()
            if found is not None or last:
                return found
            self.pause()
