"""Cards that are alike, told once. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ..capacity.account import Card, Change, Pair

FEW = 12
"""So many kinds of cards are told in the fleet's order; of more, those that change come first."""
_ORDER: tuple[Change, ...] = ("freed", "cut", "taken", "moved", "same", "used", "held", "free")

WORDS: dict[Change, str] = {
    "freed": "freed",
    "taken": "taken into use",
    "cut": "cut anew",
    "moved": "other work",
    "same": "unchanged",
    "free": "free",
    "held": "left alone",
    "used": "in use",
}
"""What becomes of a card, in words."""


@dataclass(frozen=True)
class Group:
    """Cards that look alike before and after; `names` are theirs, `pair` is the first."""

    pair: Pair
    names: tuple[str, ...]

    @property
    def change(self) -> Change:
        """What becomes of each."""
        return self.pair.change

    @property
    def word(self) -> str:
        """The same in words."""
        return WORDS[self.change]


def grouped(pairs: Sequence[Pair]) -> list[Group]:
    """One group for all cards that are alike; many groups with those that change first."""
    alike: dict[Hashable, list[Pair]] = {}
    for pair in pairs:
        alike.setdefault((pair.change, _looks(pair.before), _looks(pair.after)), []).append(pair)
    groups = [Group(own[0], tuple(pair.after.name for pair in own)) for own in alike.values()]
    return groups if len(groups) <= FEW else sorted(groups, key=lambda group: _ORDER.index(group.change))


def _looks(card: Card) -> Hashable:
    return card.product, card.memory_mib, card.mig, card.held, card.parts
