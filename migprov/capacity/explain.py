"""Why a card is cut as it is: the other ways to cut it for the same workloads, and what each would leave."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from .alternatives import Alternative, alternatives
from .model import WHOLE, CardPlan, Plan, Workload
from .patterns import Pattern

Seated = tuple[tuple[str, int], ...]
"""Workloads with the number of their replicas, by name."""


@dataclass(frozen=True)
class Explanation:
    """Cards of one product with the same workloads on them, how they are cut, and every way to cut one for these."""

    product: str
    cards: tuple[CardPlan, ...]
    seated: Seated
    chosen: Pattern
    ways: tuple[Alternative, ...]


def explanations(
    plan: Plan, workloads: tuple[Workload, ...], *, everything: bool = False, most: int | None = None
) -> list[Explanation]:
    """Of the cards that are cut anew, or of all that are cut, in the fleet's order; at most `most`."""
    seats: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for each in plan.assignments:
        if each.profile != WHOLE:
            seats[each.host, each.index][each.workload] += 1
    alike: dict[tuple[str, Seated, Pattern], list[CardPlan]] = defaultdict(list)
    for card in plan.cards:
        there = seats.get((card.card.host, card.card.index))
        if there and (everything or card.changes):
            pattern = tuple(sorted(instance.profile for instance in card.instances))
            alike[card.card.product, tuple(sorted(there.items())), pattern].append(card)
    by_name = {workload.name: workload for workload in workloads}
    found = []
    for (product, seated, pattern), cards in list(alike.items())[:most]:
        there_now = [replace(by_name[name], replicas=count) for name, count in seated]
        ways = tuple(_telling(alternatives(there_now, product), pattern))
        found.append(Explanation(product, tuple(cards), seated, pattern, ways))
    return found


def _telling(ways: list[Alternative], chosen: Pattern) -> list[Alternative]:
    """Without those that differ from another only in media extensions, which nobody needs then."""
    plain = {way.pattern for way in ways}
    return [way for way in ways if way.pattern == chosen or _without_media(way.pattern) not in plain - {way.pattern}]


def _without_media(pattern: Pattern) -> Pattern:
    return tuple(sorted(name.partition("+me")[0] for name in pattern))
