"""Ctrl-C pressed once asks for an end; pressed again it leaves at once."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from . import exits

_LAST_WORDS_S = 2.0


@contextlib.contextmanager
def twice(
    stopping: Callable[[], bool],
    stop: Callable[[], None],
    leave: Callable[[], None] = lambda: None,
    *,
    also: tuple[signal.Signals, ...] = (),
) -> Iterator[None]:
    """While the block runs: `stop` at the first Ctrl-C, `leave` and the end of the program at the next.

    The end comes wherever the program is, without waiting for its threads; `leave` says the last words, and has two
    seconds for them. `stopping`: whether an end was already asked for. `also`: signals that are taken like Ctrl-C.

    Both run in threads of their own: the signal may have come in the middle of a write to the stream that they write
    to, or while a lock is held that they need.
    """
    pressed: queue.SimpleQueue[bool] = queue.SimpleQueue()  # its put may interrupt itself
    heeding = threading.Thread(target=_heed, args=(pressed, stopping, stop, leave), daemon=True)
    heeding.start()
    before = {number: signal.signal(number, lambda *_: pressed.put(True)) for number in (signal.SIGINT, *also)}
    try:
        yield
    finally:
        pressed.put(False)
        heeding.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _heed(
    pressed: queue.SimpleQueue[bool], stopping: Callable[[], bool], stop: Callable[[], None], leave: Callable[[], None]
) -> None:
    """Take each Ctrl-C in its turn, until the block is over."""
    asking: threading.Thread | None = None
    while pressed.get():
        if asking or stopping():
            _speak(lambda: _last(leave)).join(_LAST_WORDS_S)
            os._exit(exits.INTERRUPTED)
        asking = _speak(stop)
    if asking:
        asking.join(_LAST_WORDS_S)


def _speak(words: Callable[[], None]) -> threading.Thread:
    # Not in the thread that waits for the next Ctrl-C: a reader that does not read must not keep anybody here.
    thread = threading.Thread(target=words, daemon=True)
    thread.start()
    return thread


def _last(leave: Callable[[], None]) -> None:
    leave()
    sys.stdout.flush()
    sys.stderr.flush()
