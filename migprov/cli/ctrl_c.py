"""Ctrl-C pressed once asks for an end; pressed again it leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from . import exits


@contextlib.contextmanager
def twice(
    stopping: Callable[[], bool],
    stop: Callable[[], None],
    leave: Callable[[], None] = lambda: None,
    *,
    also: tuple[signal.Signals, ...] = (),
) -> Iterator[None]:
    """While the block runs: `stop` at the first Ctrl-C, `leave` and the end of the program at the next.

    The end comes from wherever the program is, without waiting for its threads; `leave` says the last words.
    `stopping`: whether an end was already asked for. `also`: signals that are taken like Ctrl-C.
    """

    def pressed(_number: int, _frame: FrameType | None) -> None:
        if not stopping():
            stop()
            return
        leave()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exits.INTERRUPTED)

    before = {number: signal.signal(number, pressed) for number in (signal.SIGINT, *also)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
