"""The ways to cut one card for the same workloads, tight to roomy, and what each leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .model import WHOLE, Workload
from .patterns import Pattern, is_legal, patterns, room
from .products import Offer, product
from .program import acceptable


@dataclass(frozen=True)
class Seat:
    """A workload in an instance: what it has there, and what of it is beyond its peak (MiB)."""

    workload: str
    offer: Offer
    spare_mib: int | None


@dataclass(frozen=True)
class Alternative:
    """One way: `room` is the largest profile that could still be made beside, None when none could.

    `free_memory_slices` and `free_compute_slices` are not in any instance; 7 compute slices stand on 8 memory slices,
    so one of the memory slices may be out of reach.
    """

    pattern: Pattern
    seats: tuple[Seat, ...]
    room: str | None
    free_memory_slices: int
    free_compute_slices: int


def alternatives(workloads: Sequence[Workload], key: str) -> list[Alternative]:
    """Every way to cut one card of a product into one instance for each replica of the workloads, most room first.

    Empty where they do not fit one card together.
    """
    data = product(key)
    accepted = [
        (each, acceptable(each, {key: data}).get(key, frozenset()) - {WHOLE})
        for each in workloads
        for _ in range(each.replicas)
    ]
    names = frozenset(name for _, those in accepted for name in those)
    found = []
    for pattern in patterns(key, names):
        if len(pattern) == len(accepted) and (seats := _seats(accepted, pattern, data.offers)):
            taken = [data.card.find(name) for name in pattern]
            found.append(
                Alternative(
                    pattern,
                    seats,
                    _largest_beside(key, pattern),
                    data.card.memory_slices - sum(each.size for each in taken),
                    data.card.compute_slices - sum(each.slices for each in taken),
                )
            )
    return sorted(found, key=lambda each: (-room(key, each.pattern), -each.free_compute_slices, each.pattern))


def _seats(
    accepted: Sequence[tuple[Workload, frozenset[str]]], pattern: Pattern, offers: Mapping[str, Offer]
) -> tuple[Seat, ...] | None:
    """Who needs more memory gets the larger instance. None where somebody finds none that is enough."""
    left = Counter(pattern)
    chosen: dict[int, str] = {}

    def size(name: str) -> tuple[int, int]:
        return (offers[name].memory_mib or 0, offers[name].sms or 0)

    def search(order: Sequence[int]) -> bool:
        if not order:
            return True
        first, *others = order
        for name in sorted(accepted[first][1], key=size, reverse=True):
            if left[name]:
                left[name] -= 1
                chosen[first] = name
                if search(others):
                    return True
                left[name] += 1
        return False

    order = sorted(range(len(accepted)), key=lambda number: -accepted[number][0].needed_mib)
    if not search(order):
        return None
    return tuple(
        Seat(each.name, offers[chosen[number]], _spare(offers[chosen[number]], each))
        for number, (each, _) in enumerate(accepted)
    )


def _spare(offer: Offer, workload: Workload) -> int | None:
    return None if offer.memory_mib is None else offer.memory_mib - workload.memory_mib


def _largest_beside(key: str, pattern: Pattern) -> str | None:
    slices = room(key, pattern)
    if not slices:
        return None
    card = product(key).card
    fits = [p for p in card.profiles if p.size == slices and _legal_beside(key, pattern, p.name)]
    return max(fits, key=lambda each: (each.slices, not each.suffix)).name


def _legal_beside(key: str, pattern: Pattern, name: str) -> bool:
    card = product(key).card
    return is_legal(card, (*(card.find(each) for each in pattern), card.find(name)))
