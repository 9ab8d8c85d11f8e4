"""The ways to cut a card: every set of instances that can exist together on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from ..mig.arrange import Item, arrangements, mask
from ..mig.legality import conflict
from ..mig.profiles import Card, Profile
from .model import WHOLE
from .products import product

Pattern = tuple[str, ...]
"""Names of profiles, sorted, one for each instance; `("gpu",)` is the whole card, `()` an empty one."""


@cache
def patterns(key: str, names: frozenset[str]) -> tuple[Pattern, ...]:
    """Every legal set of instances of the named profiles on a product, the empty one excepted; `gpu` if it is named."""
    card = product(key).card
    chosen = [profile for profile in card.profiles if profile.name in names]
    found = sorted(set(_grow(card, chosen, ())))
    return tuple(found) + (((WHOLE,),) if WHOLE in names else ())


def _grow(card: Card, profiles: list[Profile], taken: tuple[Profile, ...]) -> Iterator[Pattern]:
    for number, profile in enumerate(profiles):
        more = (*taken, profile)
        if is_legal(card, more):
            yield tuple(sorted(each.name for each in more))
            yield from _grow(card, profiles[number:], more)


def is_legal(card: Card, profiles: tuple[Profile, ...], fixed: Iterable[tuple[int, int]] = ()) -> bool:
    """Whether these instances can exist together, beside `fixed` spans (start, size) of memory slices."""
    return conflict(card, profiles) is None and next(starts(profiles, fixed), None) is not None


def starts(profiles: tuple[Profile, ...], fixed: Iterable[tuple[int, int]] = ()) -> Iterator[tuple[int, ...]]:
    """The ways to place them: a first memory slice for each, in the order given."""
    taken = mask(list(fixed))
    items = [
        Item(each.name, tuple(s for s in each.starts if not ((1 << each.size) - 1) << s & taken), each.size)
        for each in profiles
    ]
    return arrangements(items)


@cache
def room(key: str, pattern: Pattern) -> int:
    """Memory slices of the largest profile that could still be made beside the instances of a pattern."""
    card = product(key).card
    if pattern == (WHOLE,):
        return 0
    there = tuple(card.find(name) for name in pattern)
    for profile in sorted(card.profiles, key=lambda each: -each.size):
        if is_legal(card, (*there, profile)):
            return profile.size
    return 0


def needed_names(key: str, accepted: Iterable[frozenset[str]]) -> frozenset[str]:
    """The profiles worth cutting: those that somebody accepts, without those for which another does as well.

    Another does as well when everybody who accepts the one accepts it too, and it takes no more of the card: no more
    slices, at every place where the one could stand, as often.
    """
    card = product(key).card
    users: Mapping[str, set[int]] = _users(accepted)
    names = [name for name in users if name != WHOLE]
    kept = [name for name in names if not any(_does_as_well(card, other, name, users) for other in names)]
    return frozenset([*kept, *([WHOLE] if WHOLE in users else [])])


def _users(accepted: Iterable[frozenset[str]]) -> Mapping[str, set[int]]:
    users: dict[str, set[int]] = {}
    for number, names in enumerate(accepted):
        for name in names:
            users.setdefault(name, set()).add(number)
    return users


def _does_as_well(card: Card, other: str, name: str, users: Mapping[str, set[int]]) -> bool:
    if other == name or not users[other] >= users[name]:
        return False
    a, b = card.find(other), card.find(name)
    media = a.suffix.startswith("+me") and not b.suffix.startswith("+me")
    smaller = (
        a.size <= b.size
        and a.slices <= b.slices
        and a.max_instances >= b.max_instances
        and set(a.starts) >= set(b.starts)
        and not media
        and a.suffix != "+me.all"
    )
    # Of two that are equal in all this, the one that comes first by name stays.
    same = (a.size, a.slices, a.max_instances, a.starts, users[other]) == (
        b.size, b.slices, b.max_instances, b.starts, users[name],
    )  # fmt: skip
    return smaller and (not same or other < name)


def contains(pattern: Pattern, part: Pattern) -> bool:
    """Whether a pattern has all instances of another."""
    return not Counter(part) - Counter(pattern)
