"""Which of the workloads that run on a card can stay where they are when it is cut anew."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

from .model import WHOLE
from .patterns import Pattern, contains, starts
from .products import product

NO_START = -1
"""The start of what has a whole card."""


class Runner(NamedTuple):
    """What runs on a card: its class (or workload) by number, its instance's profile (or `gpu`) and start."""

    number: int
    profile: str
    start: int


@cache
def staying(key: str, runners: tuple[Runner, ...], pattern: Pattern) -> tuple[Runner, ...]:
    """As many of them as a pattern leaves in the instances they have; the first such choice in their order."""
    for size in range(len(runners), 0, -1):
        for chosen in combinations(runners, size):
            if _leaves(key, chosen, pattern):
                return chosen
    return ()


def _leaves(key: str, runners: Sequence[Runner], pattern: Pattern) -> bool:
    names = tuple(runner.profile for runner in runners)
    if not contains(pattern, names):
        return False
    if WHOLE in names:
        return pattern == (WHOLE,) and len(names) == 1
    card = product(key).card
    others = list(pattern)
    for name in names:
        others.remove(name)
    fixed = [(runner.start, card.find(runner.profile).size) for runner in runners]
    return next(starts(tuple(card.find(name) for name in others), fixed), None) is not None
