"""The node program killed, failed and hung at every write it makes, on three products; what must be true after each.

    python benchmarks/faults.py [--hang-limit SECONDS]

A point is one write of one change, disturbed in one way: SIGKILL just before and just after it; each code that it can
answer, once; an unknown one from then on, and one although the driver did it; no return, before and after. After each:
the reply, if any, was true, nothing outside the plan was touched, the lock is free, and a further run reaches the
layout. Exit status 1 when that does not hold at a point.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults.attempts import CODES, failed, hung, killed
from tests.faults.lab import Lab, lab
from tests.faults.program import Server, server
from tests.faults.transitions import every_transition

AT_ONCE = 8
Attempt = tuple[str, str, Callable[[], None]]


def attempts(made: Lab) -> Iterator[Attempt]:
    """Every kill and every failure: its kind, its name, and what does it."""
    for point in made.points:
        for late in (False, True):
            name = f"{point.call} {point.nth} {'after' if late else 'before'}"
            yield "killed", name, lambda point=point, late=late: killed(made, point, late=late)  # type: ignore[misc]
        ways: list[tuple[str, dict[str, bool]]] = [(code, {}) for code in CODES[point.call]]
        ways += [("UNKNOWN", {"late": True}), ("UNKNOWN", {"for_good": True})]
        for code, how in ways:
            name = f"{point.call} {point.nth} {code} {how}"
            yield "failed", name, lambda p=point, c=code, h=how: failed(made, p, c, **h)  # type: ignore[misc]


def hangs(made: Lab, limit_s: float) -> Iterator[tuple[Attempt, Callable[[Server], None]]]:
    """Every hang; these wait side by side."""
    for point in made.points:
        for late in (False, True):

            def attempt(runner: Server, point: object = point, late: bool = late) -> None:
                hung(made, point, runner, late=late, limit_s=limit_s)  # type: ignore[arg-type]

            yield ("hung", f"{point.call} {point.nth} {'after' if late else 'before'}", lambda: None), attempt


def tell(label: str, name: str) -> None:
    """One point at which something did not hold."""
    print(f"{label}: {name}\n{traceback.format_exc(limit=-2)}", flush=True)


def main() -> int:
    """Try every point, and print how many there were and at how many something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hang-limit", type=float, default=5.0, help="seconds after which a step counts as hung")
    limit_s = parser.parse_args().hang_limit
    tried: Counter[str] = Counter()
    wrong = 0
    for transition in every_transition():
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="migprov-faults-"))
            made = stack.enter_context(lab(transition, Path(folder)))
            for kind, name, attempt in attempts(made):
                tried[kind] += 1
                try:
                    attempt()
                except AssertionError:
                    wrong += 1
                    tell(transition.label, name)
            wrong += _hang_all(made, stack, limit_s, tried)
        print(f"{transition.label}: {len(made.points)} writes; tried so far: {dict(tried)}, wrong: {wrong}", flush=True)
    print(f"{sum(tried.values())} points tried, {wrong} at which something did not hold")
    return 1 if wrong else 0


def _hang_all(made: Lab, stack: ExitStack, limit_s: float, tried: Counter[str]) -> int:
    free: SimpleQueue[Server] = SimpleQueue()
    for _ in range(AT_ONCE):
        free.put(stack.enter_context(server(made.environment)))

    def attempt(job: Callable[[Server], None]) -> None:
        runner = free.get()
        try:
            job(runner)
        finally:
            free.put(runner)

    wrong = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, done in [(name, pool.submit(attempt, job)) for (_, name, _), job in hangs(made, limit_s)]:
            tried["hung"] += 1
            try:
                done.result()
            except AssertionError:
                wrong += 1
                tell(made.transition.label, f"hang: {name}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
