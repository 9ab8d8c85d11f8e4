"""Workloads and a fleet -> the layouts that use the fewest cards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from ..errors import BadRequest
from .demand import why_nowhere
from .model import FleetCard, Plan, Unplaced, Workload
from .place import place
from .program import Problem, solve, sort_out
from .staying import NO_START

EXACT_UP_TO = 500
"""Cards up to which the optimum itself is asked for; above, a plan proven to be within `GAP` of it."""
GAP = 0.001


def plan(
    workloads: Sequence[Workload],
    cards: Sequence[FleetCard],
    *,
    least: str = "cards",
    reserve_per_node: int = 0,
) -> Plan:
    """Place the workloads on the cards: all of them, on the fewest cards (`least="cards"`) or the cheapest (`"cost"`),
    changing the fewest cards, moving the fewest replicas, leaving the most room for the largest profile; in this order.

    `reserve_per_node`: cards of each node that stay free. The same input gives the same plan.

    Raises:
        BadRequest: two workloads or cards have one name, a workload names one that is not there, a place where
            something runs does not exist or is named twice, a price is missing where the least cost is asked for.
    """
    _check(workloads, cards, least)
    running = _running(workloads, cards)
    kept_back = _reserve(cards, running, reserve_per_node)
    problem = sort_out(workloads, kept_back, running)
    gap = 0.0 if len(cards) <= EXACT_UP_TO else GAP
    solution = solve(problem, by_cost=least == "cost", gap=gap)
    planned, assignments, missing = place(problem, solution, running)
    # What runs on a card of the reserve goes elsewhere: that card is freed, not left alone.
    planned = [replace(each, card=cards[n]) if running.get(n) else each for n, each in enumerate(planned)]
    priced = all(card.price is not None for card in cards)
    return Plan(
        tuple(planned),
        tuple(assignments),
        tuple(_unplaced(problem, missing)),
        solution.used,
        solution.cost if priced else None,
        tuple(_notes(problem)),
    )


def _check(workloads: Sequence[Workload], cards: Sequence[FleetCard], least: str) -> None:
    if least not in ("cards", "cost"):
        raise BadRequest(f"there is no objective {least!r}", next="take cards or cost")
    for what, names in (("workloads", [w.name for w in workloads]), ("cards", [card.name for card in cards])):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise BadRequest(f"two {what} have the name {twice[0]!r}")
    known = {workload.name for workload in workloads}
    for workload in workloads:
        others = workload.shares_card if isinstance(workload.shares_card, tuple) else ()
        for name in others:
            if name not in known:
                raise BadRequest(f"workload {workload.name!r} shares a card with {name!r}, which is no workload here")
    if least == "cost" and (missing := [card.name for card in cards if card.price is None]):
        raise BadRequest(f"the least cost is asked for and {missing[0]} has no price", next="give every card a price")


def _running(workloads: Sequence[Workload], cards: Sequence[FleetCard]) -> dict[int, list[tuple[int, int]]]:
    by_place = {
        (card.host, key): number for number, card in enumerate(cards) for key in (card.index, card.uuid) if key != ""
    }
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    taken: dict[tuple[int, int], str] = {}
    for number, workload in enumerate(workloads):
        if len(workload.runs_on) > workload.replicas:
            raise BadRequest(
                f"workload {workload.name!r} runs in {len(workload.runs_on)} places, more than its "
                f"{workload.replicas} replicas"
            )
        for where in workload.runs_on:
            card = by_place.get((where.host, where.gpu))
            if card is None:
                raise BadRequest(
                    f"workload {workload.name!r} runs on {where.host}/{where.gpu}, which is not in the fleet"
                )
            start = NO_START if where.start is None else where.start
            starts = {each.start for each in cards[card].instances} if cards[card].mig else {NO_START}
            if start not in starts:
                wrong = "that card is cut" if where.start is None else f"nothing begins at {where.start}"
                raise BadRequest(
                    f"workload {workload.name!r} runs on {where.host}/{where.gpu}, but {wrong} now",
                    next="say where it runs now; 'migprov audit --workloads' finds out",
                )
            if (card, start) in taken:
                raise BadRequest(f"{taken[card, start]!r} and {workload.name!r} run in one place, {cards[card].name}")
            taken[card, start] = workload.name
            found[card].append((number, start))
    return dict(found)


def _reserve(
    cards: Sequence[FleetCard], running: dict[int, list[tuple[int, int]]], count: int
) -> tuple[FleetCard, ...]:
    """Keep `count` cards of each node out of the plan: those on which nothing runs first, uncut ones before others."""
    if not count:
        return tuple(cards)
    of_host: dict[str, list[int]] = defaultdict(list)
    for number, card in enumerate(cards):
        of_host[card.host].append(number)
    kept = list(cards)
    for numbers in of_host.values():
        usable = [number for number in numbers if cards[number].held is None]
        ranked = sorted(usable, key=lambda n: (len(running.get(n, ())), cards[n].mig, -cards[n].index))
        for number in ranked[:count]:
            kept[number] = replace(cards[number], held="kept in reserve")
    return tuple(kept)


def _unplaced(problem: Problem, missing: dict[int, int]) -> list[Unplaced]:
    found = []
    for number, count in sorted(missing.items()):
        workload = problem.workloads[number]
        if not problem.accepts(number):
            reason = f"needs {workload.needed_mib} MiB; {why_nowhere(workload, problem.products.values())}"
        elif workload.most_per_node is not None:
            reason = f"no room is left on nodes with fewer than {workload.most_per_node} of its replicas"
        else:
            reason = "every card that could hold it is full"
        found.append(Unplaced(workload.name, count, reason))
    return found


def _notes(problem: Problem) -> list[str]:
    notes = []
    for number, workload in enumerate(problem.workloads):
        for key in problem.accepts(number):
            memory = problem.products[key].whole.memory_mib or 0
            if memory < workload.needed_mib:
                left = memory / workload.memory_mib - 1
                notes.append(
                    f"{workload.name}: a whole {key} leaves {left:.0%} of headroom, not {workload.headroom:.0%}; the "
                    "fleet has nothing larger"
                )
    return notes
