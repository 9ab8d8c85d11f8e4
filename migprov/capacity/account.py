"""What a fleet has, what of it is held, used and paid for, before and after. Pure.

Memory is MiB. That of a card is what its driver reports (in a plan: the product table): an A100 that is sold with
80 GB has 81,920 MiB, which is 80 GiB. That of an instance is its own, less than its memory slices' share of the card.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .products import Offer, ProductData, all_products

HOURS = 720.0
"""A month of 30 days."""

Change = Literal["freed", "taken", "cut", "moved", "same", "free", "held", "used"]
"""freed: in use before, not after. taken: the other way round. cut: in use, and cut anew. moved: in use by others than
before. same: in use as before. free: not in use before or after. held: left alone. used: in use; of before nothing is
known.
"""


@dataclass(frozen=True)
class Holder:
    """Who holds a card or an instance: one replica or program. `used_mib` is None where that is not known."""

    name: str
    used_mib: int | None


@dataclass(frozen=True)
class Part:
    """A GPU instance, or the whole of a card with MIG off (`profile` is `gpu`, `start` None).

    None: not known. `bandwidth_gbs` GB/s, by memory slices; `slices` are memory slices. `in_use_mib` is what is in use
    altogether where that was measured and not only what each holder takes.
    """

    profile: str
    start: int | None
    memory_mib: int | None
    sms: int | None = None
    bandwidth_gbs: float | None = None
    slices: int | None = None
    holders: tuple[Holder, ...] = ()
    in_use_mib: int | None = None

    @property
    def allocated_mib(self) -> int | None:
        """All of its memory where somebody holds it, else 0."""
        return self.memory_mib if self.holders else 0

    @property
    def used_mib(self) -> int | None:
        """What is used of it; None where that of a holder is not known. 0 where nobody holds it."""
        if not self.holders:
            return 0
        if self.in_use_mib is not None:
            return self.in_use_mib
        known = [each.used_mib for each in self.holders if each.used_mib is not None]
        return sum(known) if len(known) == len(self.holders) else None

    @property
    def efficiency(self) -> float | None:
        """Used of its memory."""
        return ratio(self.used_mib, self.memory_mib)


@dataclass(frozen=True)
class Card:
    """One card at one time. `price` is money an hour, `held` why it is left alone; None: not known, not so."""

    host: str
    index: int | None
    product: str
    memory_mib: int | None
    mig: bool
    parts: tuple[Part, ...]
    uuid: str = ""
    price: float | None = None
    held: str | None = None

    @property
    def name(self) -> str:
        """Host and index, such as `gpu1/0`; the UUID where the index is not known."""
        return f"{self.host}/{self.uuid if self.index is None else self.index}"

    @property
    def in_use(self) -> bool:
        """Whether anybody holds it or one of its instances."""
        return any(part.holders for part in self.parts)

    @property
    def used_mib(self) -> int | None:
        """What is used of it, None where that is not known of a part."""
        return _sum(part.used_mib for part in self.parts)

    @property
    def allocated_mib(self) -> int | None:
        """The memory of what is held of it."""
        return _sum(part.allocated_mib for part in self.parts)

    @property
    def efficiency(self) -> float | None:
        """Used of the card's memory."""
        return ratio(self.used_mib, self.memory_mib)

    @property
    def slices(self) -> int:
        """Its memory slices; 1 for a product that is not in the table."""
        product = all_products().get(self.product)
        return product.whole.memory_slices if product else 1


@dataclass(frozen=True)
class Totals:
    """What the cards of one time amount to, but those that are left alone.

    `memory_mib`, `allocated_mib` and `used_mib` are those of the cards in use but the `left_out` ones, whose memory or
    use is not known. `per_hour` is the money for the cards in use, None where one has no price.
    """

    cards: int
    in_use: int
    left_out: int
    memory_mib: int
    allocated_mib: int
    used_mib: int
    per_hour: float | None

    @property
    def efficiency(self) -> float | None:
        """Used of the memory of the cards in use."""
        return ratio(self.used_mib, self.memory_mib)

    @property
    def fill(self) -> float | None:
        """Used of what is allocated."""
        return ratio(self.used_mib, self.allocated_mib)


@dataclass(frozen=True)
class Pair:
    """One card before and after. `compared` is False where nothing is known of who held it before."""

    before: Card
    after: Card
    compared: bool = True

    @property
    def change(self) -> Change:
        """What becomes of it."""
        before, after = self.before, self.after
        if after.held is not None:
            return "held"
        if not self.compared:
            return "used" if after.in_use else "free"
        if before.in_use != after.in_use:
            return "freed" if before.in_use else "taken"
        if not after.in_use:
            return "free"
        if (before.mig, _cut(before)) != (after.mig, _cut(after)):
            return "cut"
        return "same" if _names(before) == _names(after) else "moved"


@dataclass(frozen=True)
class Account:
    """All cards, before and after. `compared` is False where nothing is known of before: then no card is freed.

    `hours`: for how long the money is reckoned.
    """

    pairs: tuple[Pair, ...]
    compared: bool = True
    hours: float = HOURS
    notes: tuple[str, ...] = field(default=())

    @property
    def before(self) -> Totals | None:
        """The totals of before."""
        return totals([pair.before for pair in self.pairs]) if self.compared else None

    @property
    def after(self) -> Totals:
        """The totals of after."""
        return totals([pair.after for pair in self.pairs])

    @property
    def freed(self) -> tuple[Card, ...]:
        """The cards that were in use and are not any more."""
        return tuple(pair.after for pair in self.pairs if pair.change == "freed")

    @property
    def saved_per_hour(self) -> float | None:
        """Money an hour less than before; below 0 where it is more."""
        before, after = self.before, self.after
        if before is None or before.per_hour is None or after.per_hour is None:
            return None
        return before.per_hour - after.per_hour

    def money(self, per_hour: float | None) -> float | None:
        """Money an hour over all hours."""
        return None if per_hour is None else per_hour * self.hours


def totals(cards: Sequence[Card]) -> Totals:
    """What these cards amount to."""
    counted = [card for card in cards if card.held is None]
    in_use = [card for card in counted if card.in_use]
    known = [
        (card.memory_mib, card.allocated_mib, card.used_mib)
        for card in in_use
        if card.memory_mib is not None and card.used_mib is not None and card.allocated_mib is not None
    ]
    prices = [card.price for card in in_use if card.price is not None]
    return Totals(
        cards=len(counted),
        in_use=len(in_use),
        left_out=len(in_use) - len(known),
        memory_mib=sum(memory or 0 for memory, _, _ in known),
        allocated_mib=sum(allocated or 0 for _, allocated, _ in known),
        used_mib=sum(used or 0 for _, _, used in known),
        per_hour=math.fsum(prices) if len(prices) == len(in_use) and _priced(counted) else None,
    )


def part(
    product: str,
    profile: str,
    start: int | None,
    holders: Iterable[Holder] = (),
    *,
    memory_mib: int | None = None,
    in_use_mib: int | None = None,
) -> Part:
    """An instance, or the whole card, with what the product table says of it; `memory_mib` where it was measured."""
    offer = _offer(all_products().get(product), profile)
    return Part(
        profile,
        start,
        offer.memory_mib if memory_mib is None and offer is not None else memory_mib,
        None if offer is None else offer.sms,
        None if offer is None else offer.bandwidth_gbs,
        None if offer is None else offer.memory_slices,
        tuple(holders),
        in_use_mib,
    )


def ratio(share: float | None, whole: float | None) -> float | None:
    """`share` of `whole`; None where one is not known, or there is nothing."""
    return share / whole if share is not None and whole else None


def _offer(product: ProductData | None, profile: str) -> Offer | None:
    return None if product is None else product.find(profile)


def _priced(cards: Sequence[Card]) -> bool:
    """Whether prices were given at all: a fleet of which nothing is in use costs 0 only where they were."""
    return any(card.price is not None for card in cards)


def _sum(values: Iterable[int | None]) -> int | None:
    found = list(values)
    known = [each for each in found if each is not None]
    return sum(known) if len(known) == len(found) else None


def _cut(card: Card) -> list[tuple[str, int | None]]:
    return sorted(((part.profile, part.start) for part in card.parts), key=repr)


def _names(card: Card) -> list[tuple[int | None, str]]:
    return sorted(((part.start, holder.name) for part in card.parts for holder in part.holders), key=repr)
