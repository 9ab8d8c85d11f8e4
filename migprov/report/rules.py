"""What an instance gets of its card's SMs and bandwidth, in words."""

from __future__ import annotations

from ..capacity.account import Part
from ..capacity.model import WHOLE
from ..capacity.products import all_products
from .model import Seat
from .numbers import gib, speed


def sms(part: Part, product: str) -> str:
    """`42 of 98`: of all that a card can give to instances; `108` for a whole card, `?` where it is not known."""
    if part.sms is None:
        return "?"
    found = all_products().get(product)
    if part.profile == WHOLE or found is None:
        return str(part.sms)
    most = max((offer.sms or 0 for offer in found.offers.values()), default=0)
    return f"{part.sms} of {most}"


def rate(part: Part) -> str:
    """`1,020`, GB/s; `?` where it is not known."""
    return "?" if part.bandwidth_gbs is None else f"{part.bandwidth_gbs:,.0f}"


def slices(part: Part, product: str) -> str:
    """`4 of 8` memory slices; `?` where the product is not known."""
    found = all_products().get(product)
    return "?" if part.slices is None or found is None else f"{part.slices} of {found.whole.memory_slices}"


def seat(one: Seat) -> str:
    """`1g.20gb: 19.5 GiB, 14 SMs, 510 GB/s; 9.9 GiB spare`; what is not known is left out."""
    known = [
        None if one.memory_mib is None else f"{gib(one.memory_mib)} GiB",
        None if one.sms is None else f"{one.sms} SMs",
        None if one.bandwidth_gbs is None else speed(one.bandwidth_gbs),
    ]
    spare = "" if one.spare_mib is None else f"; {gib(one.spare_mib)} GiB spare"
    has = ", ".join(part for part in known if part)
    return one.profile + (f": {has}" if has else "") + spare
