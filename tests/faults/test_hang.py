"""Calls that never return: the program says so, ends what it started, and leaves the lock free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import pytest

from .attempts import hung, some
from .lab import Lab, Point, lab
from .program import Server, server
from .transitions import Transition, transitions

AT_ONCE = 6
LIMIT_S = 2.0


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[[Lab], SimpleQueue[Server]]]:
    """More servers for a lab: runs that hang wait side by side."""
    with ExitStack() as stack:

        def start(made: Lab) -> SimpleQueue[Server]:
            queue: SimpleQueue[Server] = SimpleQueue()
            for _ in range(AT_ONCE):
                queue.put(stack.enter_context(server(made.environment)))
            return queue

        yield start


@pytest.mark.parametrize(
    "transition",
    # between them every call that writes
    [
        t
        for t in transitions("A100-80GB")
        if t.name in ("pending to pair", "whole instance to parts of it", "seven to off")
    ],
    ids=lambda each: each.label,
)
def test_a_write_that_hangs(
    transition: Transition,
    tmp_path: Path,
    tried: Callable[[str, int], None],
    servers: Callable[[Lab], SimpleQueue[Server]],
) -> None:
    with lab(transition, tmp_path) as made:
        free = servers(made)

        def attempt(point: Point, late: bool) -> None:
            runner = free.get()
            try:
                hung(made, point, runner, late=late, limit_s=LIMIT_S)
            finally:
                free.put(runner)

        firsts = list({point.call: point for point in reversed(some(made.points))}.values())
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(attempt, point, late) for point in firsts for late in (False, True)]:
                done.result()
        tried("hung", 2 * len(firsts))


@pytest.mark.parametrize(
    ("call", "skip"),
    [
        ("nvmlInitWithFlags", 0),
        ("nvmlDeviceGetMigMode", 0),
        ("nvmlDeviceGetName", 2),  # the reading after the change
        ("nvmlShutdown", 0),
    ],
)
def test_a_reading_that_hangs(tmp_path: Path, call: str, skip: int, tried: Callable[[str, int], None]) -> None:
    with lab(transitions("H100-80GB-SXM")[0], tmp_path) as made, made.one() as tried_:
        tried_.sim.fault(call=call, hang_s=3600, skip=skip, times=1)
        ended = tried_.change(step_limit_s=LIMIT_S)
        assert ended.reply is not None
        tried_.sim.clear_faults()
        if call == "nvmlShutdown":
            assert ended.reply["error"] is None  # all was done, and read again
        else:
            assert ended.reply["error"]["code"] == "driver_hangs"
        made.must_be_true(ended, tried_)
        made.must_converge(tried_)
        tried("hung", 1)
