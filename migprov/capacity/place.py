"""From how many to which: the program's numbers on the cards and replicas themselves."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from ..mig.fit import Busy, fit
from ..mig.state import GpuInstance
from ..mig.wanted import WantedInstance
from .model import WHOLE, Assignment, CardPlan, FleetCard, Instance
from .patterns import Pattern
from .products import product
from .program import Problem, Solution, profile_at
from .staying import NO_START, Runner, staying

Running = Mapping[int, Sequence[tuple[int, int]]]
"""Card number -> (workload number, start) of what runs there now."""


@dataclass
class Seat:
    """An instance for one replica; `workload` is who sits there."""

    card: int
    profile: str
    start: int
    workload: int | None = None
    stays: bool = False


@dataclass
class _Table:
    """A card in use: its group, what it is cut into, and its seats."""

    group: int
    pattern: Pattern
    kept: bool
    seats: list[Seat] = field(default_factory=list)


def place(
    problem: Problem, solution: Solution, running: Running
) -> tuple[list[CardPlan], list[Assignment], dict[int, int]]:
    """The plan of every card in the fleet's order, where each replica goes, how many of a workload have no place."""
    tables = _tables(problem, solution, running)
    _seat_those_who_stay(problem, solution, tables, running)
    missing = _seat_the_others(problem, solution, tables)
    for number, table in tables.items():
        if not table.kept and table.pattern != (WHOLE,):
            _clear(problem.cards[number], table)
    cards = [_card_plan(card, tables.get(number)) for number, card in enumerate(problem.cards)]
    return cards, _assignments(problem, tables, running), missing


# --- which card is cut how ----------------------------------------------------------------------------------------


def _tables(problem: Problem, solution: Solution, running: Running) -> dict[int, _Table]:
    """The cards in use. Of a kind the fleet's first cards are used, so what is freed lies together at its end."""
    tables: dict[int, _Table] = {}
    left = {number: list(kind.cards) for number, kind in enumerate(problem.kinds)}
    for (kind, group, offered), count in sorted(solution.keep.items()):
        for _ in range(count):
            tables[left[kind].pop(0)] = _Table(group, offered, kept=True)
    changing = {kind: [left[kind].pop(0) for _ in range(count)] for kind, count in sorted(solution.change.items())}
    for (kinds, group, pattern), count in sorted(solution.cut.items()):
        for _ in range(count):
            kind = next(each for each in kinds if changing.get(each))
            tables[changing[kind].pop(0)] = _Table(group, pattern, kept=False)
    for number in sorted(tables):
        _set(problem, number, tables[number], running)
    return tables


def _set(problem: Problem, number: int, table: _Table, running: Running) -> None:
    """Give a table its seats, those of whoever may stay at their starts."""
    card = problem.cards[number]
    if table.pattern == (WHOLE,):
        table.seats = [Seat(number, WHOLE, NO_START)]
        return
    if table.kept:
        spans = [(each.profile, each.start) for each in card.instances if each.profile in table.pattern]
        if len(spans) > len(table.pattern):  # one of several, for who wants to be alone: where somebody is, if at all
            taken = {start for _, start in running.get(number, ())}
            spans = sorted(spans, key=lambda span: (span[1] not in taken, span[1]))[: len(table.pattern)]
    else:
        members = problem.groups[table.group].members
        there = tuple(_runners(card, [each for each in running.get(number, ()) if each[0] in members]))
        stay = {runner.start for runner in staying(card.product, there, table.pattern)}
        spans = list(_placed(card.product, card.instances if card.mig else (), frozenset(stay), table.pattern))
    table.seats = [Seat(number, profile, start) for profile, start in sorted(spans, key=lambda span: span[1])]


def _runners(card: FleetCard, running: Sequence[tuple[int, int]]) -> Iterator[Runner]:
    return (Runner(workload, profile_at(card, start), start) for workload, start in sorted(running))


@cache
def _placed(
    key: str, existing: tuple[Instance, ...], stay: frozenset[int], pattern: Pattern
) -> tuple[tuple[str, int], ...]:
    """Where the instances of a pattern stand: the node's own search, which keeps what can be kept."""
    card = product(key).card
    there = []
    for number, each in enumerate(existing):
        profile = card.find(each.profile)
        there.append(GpuInstance(number, profile.name, profile.profile_id, each.start, profile.size))
    busy = Busy(frozenset(number for number, each in enumerate(existing) if each.start in stay), frozenset())
    wanted = [WantedInstance(name, None, None) for name in pattern]
    return tuple((each.profile.name, each.start) for each in fit(card, there, busy, wanted).placed)


# --- who sits where -----------------------------------------------------------------------------------------------


def _seat_those_who_stay(problem: Problem, solution: Solution, tables: dict[int, _Table], running: Running) -> None:
    left = Counter(solution.stays)
    room = {number: Counter(cells) for number, cells in solution.seats.items()}
    for number, table in sorted(tables.items()):
        kind = problem.pool(number)
        for workload, start in sorted(running.get(number, ())):
            own = problem.class_of[workload]
            profile = profile_at(problem.cards[number], start)
            cell = (kind, table.group, problem.cards[number].product, profile)
            seat = next((s for s in table.seats if (s.profile, s.start, s.workload) == (profile, start, None)), None)
            if seat is None or not left[own, cell]:
                continue
            seat.workload, seat.stays = workload, True
            left[own, cell] -= 1
            room[own][cell] -= 1
    solution.seats = {number: dict(cells) for number, cells in room.items()}


def _seat_the_others(problem: Problem, solution: Solution, tables: dict[int, _Table]) -> dict[int, int]:
    """Everybody else, each workload's replicas spread over the hosts; returns who is left standing."""
    free: dict[tuple[str, int, str, str], dict[str, list[Seat]]] = defaultdict(lambda: defaultdict(list))
    seated: Counter[int] = Counter()
    at: dict[int, Counter[str]] = defaultdict(Counter)
    for number, table in sorted(tables.items(), reverse=True):
        card = problem.cards[number]
        pool = problem.pool(number)
        for seat in reversed(table.seats):
            if seat.workload is None:
                free[pool, table.group, card.product, seat.profile][card.host].append(seat)
            else:
                seated[seat.workload] += 1
                at[seat.workload][card.host] += 1
    order = {card.host: number for number, card in reversed(list(enumerate(problem.cards)))}
    missing: dict[int, int] = {}
    for number, each in enumerate(problem.classes):
        cells = {cell: count for cell, count in sorted(solution.seats.get(number, {}).items()) if count}
        for workload in each.members:
            wanted = problem.workloads[workload].replicas - seated[workload]
            for cell in list(cells):
                taken = min(wanted, cells[cell])
                _spread(workload, taken, free[cell], at[workload], order)
                cells[cell] -= taken
                wanted -= taken
            if wanted:
                missing[workload] = wanted
    return missing


def _spread(workload: int, count: int, free: dict[str, list[Seat]], at: Counter[str], order: Mapping[str, int]) -> None:
    """Seat `count` replicas, each on the host that has the fewest of this workload, the fleet's order among equals."""
    if not count:
        return
    heap = [(at[host], order[host], host) for host, seats in free.items() if seats]
    heapq.heapify(heap)
    for _ in range(count):
        there, rank, host = heapq.heappop(heap)
        free[host].pop().workload = workload
        at[host] += 1
        if free[host]:
            heapq.heappush(heap, (there + 1, rank, host))


def _clear(card: FleetCard, table: _Table) -> None:
    """Take away what nobody sits in, since uncut it is room for the largest profile, and place the rest as the node
    will: those who stay at their starts, the others where they leave the most room.
    """
    seats = [seat for seat in table.seats if seat.workload is not None]
    stay = frozenset(seat.start for seat in seats if seat.stays)
    pattern = tuple(sorted(seat.profile for seat in seats))
    left = list(_placed(card.product, card.instances if card.mig else (), stay, pattern))
    for seat in seats:
        if seat.stays:
            left.remove((seat.profile, seat.start))
    for seat in seats:
        if not seat.stays:
            span = next(each for each in left if each[0] == seat.profile)
            left.remove(span)
            seat.start = span[1]
    table.seats = seats


# --- the answer ---------------------------------------------------------------------------------------------------


def _card_plan(card: FleetCard, table: _Table | None) -> CardPlan:
    if table is None or table.kept:
        return CardPlan(card, card.mig, card.instances, used=table is not None)
    seats = [seat for seat in table.seats if seat.profile != WHOLE]
    instances = tuple(sorted((Instance(seat.profile, seat.start) for seat in seats), key=lambda each: each.start))
    return CardPlan(card, bool(seats), instances, used=True)


def _assignments(problem: Problem, tables: Mapping[int, _Table], running: Running) -> list[Assignment]:
    ran = Counter(workload for there in running.values() for workload, _ in there)
    found: list[Assignment] = []
    by_workload: dict[int, list[Seat]] = defaultdict(list)
    for _, table in sorted(tables.items()):
        for seat in table.seats:
            if seat.workload is not None:
                by_workload[seat.workload].append(seat)
    for number, workload in enumerate(problem.workloads):
        seats = sorted(by_workload[number], key=lambda seat: not seat.stays)
        for replica, seat in enumerate(seats):
            card = problem.cards[seat.card]
            start = None if seat.profile == WHOLE else seat.start
            moved = not seat.stays and replica < ran[number]
            found.append(Assignment(workload.name, replica, card.host, card.index, seat.profile, start, moved))
    return found
