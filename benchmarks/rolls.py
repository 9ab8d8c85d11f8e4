"""Rolls of ten nodes disturbed by every fault at every position, and rolls whose controller is killed at every moment.

    python benchmarks/rolls.py [--jobs N] [--part stops|kills|slurm] [--way NAME] [--positions 1,2,...] [--minutes M]

Each case: the roll must stop where it has to, say why, leave alone what is behind, and be finished by the same again
without a further write to what is done. Prints a table with counts. Exit status 1 when one case was not ideal.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults import rolls_kills, rolls_slurm
from tests.faults.rolls import Ground, ground
from tests.faults.rolls_cases import stops_and_is_taken_up_again
from tests.faults.rolls_faults import FAULTS, LATE_FAULTS
from tests.faults.rolls_ways import COMMAND, PLAYBOOK, WAYS, Way
from tests.slurm.cluster import missing

STEPS = (1, 3, 6)
NODES = 10
LATE_POSITIONS = (1, 3, 8)
"""One of each batch."""


@dataclass(frozen=True)
class Case:
    """One disturbance: the row and column of the table that it counts in, its name, and what tries it."""

    row: str
    way: str
    name: str
    attempt: Callable[[Ground], None]


def stops(ways: Sequence[Way], positions: Sequence[int]) -> list[Case]:
    """Every fault at every position. Each pair of them comes once, by one way, before it comes by the other."""
    halves: tuple[list[Case], list[Case]] = [], []
    for number in positions:
        name = f"gpu{number:02}"
        late = LATE_FAULTS if number in LATE_POSITIONS else ()
        for fault_number, fault in enumerate((*FAULTS, *late)):
            for way in ways:
                attempt = partial(stops_and_is_taken_up_again, way=way, fault=fault, name=name)
                half = (number + fault_number + WAYS.index(way)) % 2
                halves[half].append(Case(fault.name, way.name, name, attempt))
    return [*halves[0], *halves[1]]


def kills(made: Ground, ways: Sequence[Way]) -> list[Case]:
    """Every moment of an undisturbed roll at which its controller is killed; every fifth of them first, and so on."""
    found: list[Case] = []
    for way in ways:
        for name in made.names:
            attempt = partial(rolls_kills.half_changed, way=way, name=name)
            found.append(Case("everything killed, and the node's program in its change", way.name, name, attempt))
        for kill in rolls_kills.every(made, way):
            attempt = partial(rolls_kills.killed_and_taken_up_again, way=way, kill=kill)
            found.append(Case(kill.row, way.name, kill.name, attempt))
    return [case for first in range(5) for case in found[first::5]]


class Table:
    """Counts what was tried and what was ideal, and says at once what was not."""

    def __init__(self) -> None:
        self.tried: Counter[tuple[str, str]] = Counter()
        self.ideal: Counter[tuple[str, str]] = Counter()
        self.broken_off = False
        self._lock = Lock()

    def count(self, case: Case, made: Ground) -> None:
        """Try one case."""
        began = time.monotonic()
        try:
            case.attempt(made)
            problem = None
        except Exception:  # a case that cannot even be tried is not ideal
            problem = traceback.format_exc(limit=-3)
        with self._lock:
            self.tried[case.row, case.way] += 1
            self.ideal[case.row, case.way] += problem is None
            verdict = "ideal" if problem is None else "NOT IDEAL"
            print(f"{case.way}: {case.row}, {case.name}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
            if problem is not None:
                print(problem, flush=True)

    def lines(self) -> Iterator[str]:
        """The table, in Markdown."""
        ways = [way.name for way in WAYS]
        yield f"| | {' | '.join(ways)} |"
        yield f"|---|{'---|' * len(ways)}"
        for row in dict.fromkeys(row for row, _ in self.tried):
            cells = [f"{self.ideal[row, w]} of {self.tried[row, w]}" if self.tried[row, w] else "" for w in ways]
            yield f"| {row} | {' | '.join(cells)} |"

    @property
    def all_ideal(self) -> bool:
        """Whether all was tried and nothing was found."""
        return bool(self.tried) and self.tried == self.ideal and not self.broken_off


def work(table: Table, cases: Sequence[Case], grounds: Sequence[Ground], until: float) -> None:
    """Try all cases, one at a time on each ground; none is begun after `until`, by the monotonic clock."""
    left: SimpleQueue[Case] = SimpleQueue()
    for case in cases:
        left.put(case)

    def some(made: Ground) -> None:
        while time.monotonic() < until and not table.broken_off:
            try:
                case = left.get_nowait()
            except Empty:
                return
            table.count(case, made)

    with ThreadPoolExecutor(len(grounds)) as pool:
        running = [pool.submit(some, made) for made in grounds]
        try:
            for done in running:
                done.result()
        except KeyboardInterrupt:
            print("interrupted: no further case is begun", flush=True)
            table.broken_off = True


def with_slurm(table: Table, ways: Sequence[Way], until: float) -> None:
    """Killed while Slurm keeps a node away. Needs Slurm's programs and root."""
    if why := missing():
        print(f"without Slurm: {why}")
        return
    with rolls_slurm.slurm_ground() as (made, cluster):
        cases = []
        for way in ways:
            for what in (rolls_kills.ALL, rolls_kills.CONTROLLER) if way is COMMAND else (rolls_kills.ALL,):
                for task in rolls_slurm.TASKS:
                    attempt = partial(
                        rolls_slurm.killed_between_drain_and_resume, cluster=cluster, way=way, task=task, what=what
                    )
                    cases.append(Case(f"{what} killed: between Slurm's drain and resume", way.name, task, attempt))
        work(table, cases, [made], until)


def main() -> int:
    """Try everything, and print how many cases there were and how many were not ideal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="fleets side by side")
    parser.add_argument("--part", choices=("stops", "kills", "slurm"))
    parser.add_argument("--way", choices=[way.name for way in WAYS])
    parser.add_argument("--positions", default=",".join(map(str, range(1, NODES + 1))))
    parser.add_argument("--minutes", type=float, default=24 * 60, help="begin no further case after that")
    arguments = parser.parse_args()
    # Both end what runs, also where a shell started this in the background; the nodes go down with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    ways = [way for way in (PLAYBOOK, COMMAND) if arguments.way in (None, way.name)]
    table, began = Table(), time.monotonic()
    until = began + 60 * arguments.minutes
    positions = [int(number) for number in arguments.positions.split(",")]
    with ExitStack() as stack:
        if arguments.part in (None, "stops"):
            grounds = [stack.enter_context(ground(NODES, STEPS)) for _ in range(arguments.jobs)]
            work(table, stops(ways, positions), grounds, until)
        if arguments.part in (None, "kills") and not table.broken_off:
            grounds = [stack.enter_context(ground(3, (1, 2))) for _ in range(arguments.jobs)]
            work(table, kills(grounds[0], ways), grounds, until)
        if arguments.part in (None, "slurm") and not table.broken_off:
            with_slurm(table, ways, until)
    print("\n".join(table.lines()))
    wrong = table.tried.total() - table.ideal.total()
    print(f"{table.tried.total()} rolls disturbed, {wrong} not ideal ({time.monotonic() - began:.0f} s)")
    return 0 if table.all_ideal else 1


if __name__ == "__main__":
    sys.exit(main())
