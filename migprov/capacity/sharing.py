"""Who may stand on one card together: the groups of workloads of which any may share a card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .model import Workload


@dataclass(frozen=True)
class Group:
    """Workloads (by number) that may share a card. `alone`: one replica a card."""

    members: frozenset[int]
    alone: bool = False


def groups(workloads: Sequence[Workload]) -> tuple[Group, ...]:
    """The largest such groups: the workloads on any card that may be, are all in one of them."""
    alone = [number for number, each in enumerate(workloads) if each.shares_card is False]
    # Those that share with anybody and whom nobody refuses are in every group: they need not be searched through.
    others = [number for number in range(len(workloads)) if number not in set(alone)]
    named = [number for number in others if workloads[number].shares_card is not True]
    found = [Group(frozenset([number]), alone=True) for number in alone]
    if not named:
        return (*found, Group(frozenset(others))) if others else tuple(found)
    beside = {a: {b for b in others if a != b and _may(workloads[a], workloads[b])} for a in others}
    cliques = sorted(_cliques(set(), set(others), set(), beside), key=sorted)
    return (*found, *(Group(frozenset(clique)) for clique in cliques))


def _may(a: Workload, b: Workload) -> bool:
    return all(one.shares_card is True or other.name in (one.shares_card or ()) for one, other in ((a, b), (b, a)))


def _cliques(chosen: set[int], left: set[int], seen: set[int], beside: dict[int, set[int]]) -> Iterator[set[int]]:
    """All largest sets in which everybody is beside everybody (Bron and Kerbosch, with a pivot)."""
    if not left and not seen:
        yield chosen
        return
    pivot = max(sorted(left | seen), key=lambda each: len(beside[each] & left))
    for each in sorted(left - beside[pivot]):
        yield from _cliques(chosen | {each}, left & beside[each], seen & beside[each], beside)
        left = left - {each}
        seen = seen | {each}
