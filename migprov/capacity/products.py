"""What a product offers, whole and cut: memory, SMs, bandwidth, engines.

Memory, SMs and engines are those of `migprov/mig/geometry.json`. Bandwidth is the product's data sheet's
(`bandwidth.json`), and an instance's follows its memory slices: 3g.40gb of an A100-80GB has 4 of 8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ..errors import BadRequest
from ..mig import geometry
from ..mig.profiles import Card
from .model import WHOLE

ENGINES = ("decoder", "encoder", "jpeg", "ofa")
_COLUMNS = {"decoder": "decoders", "encoder": "encoders", "jpeg": "jpeg", "ofa": "ofa"}


@dataclass(frozen=True)
class Offer:
    """What one instance, or a whole card (`name` is `gpu`), has. None: not known, so nobody is placed by it.

    `memory_mib` MiB, `bandwidth_gbs` GB/s, `sm_share` of the card's SMs, `engines` how many of each.
    """

    name: str
    memory_mib: int | None
    sms: int | None
    sm_share: float | None
    bandwidth_gbs: float | None
    engines: Mapping[str, int]
    memory_slices: int


@dataclass(frozen=True)
class ProductData:
    """One product: `whole` is the card with MIG off, `offers` its profiles by name."""

    key: str
    card: Card
    whole: Offer
    offers: Mapping[str, Offer]

    def offer(self, name: str) -> Offer:
        """The offer of a profile or of `gpu`."""
        return self.whole if name == WHOLE else self.offers[name]

    def find(self, name: str) -> Offer | None:
        """The offer of a profile by its name or by another that drivers give it, or of `gpu`; None for any other."""
        if name == WHOLE:
            return self.whole
        also = (each.name for each in self.card.profiles if name in each.aliases)
        return self.offers.get(name) or self.offers.get(next(also, ""))


def product(key: str) -> ProductData:
    """A product by its key in the geometry table.

    Raises:
        BadRequest: the table has no such product.
    """
    found = all_products().get(key)
    if found is None:
        raise BadRequest(f"there is no product {key!r}", next=f"the products are {', '.join(all_products())}")
    return found


@cache
def all_products() -> Mapping[str, ProductData]:
    """Every product of the table by its key."""
    package = __package__ or ""
    rows = json.loads(resources.files(geometry.__package__ or "").joinpath("geometry.json").read_text("utf-8"))
    speeds = json.loads(resources.files(package).joinpath("bandwidth.json").read_text("utf-8"))["gb_per_s"]
    cards = {each.key: each.card for each in geometry.products()}
    return {row["key"]: _product(row, cards[row["key"]], speeds.get(row["key"])) for row in rows["products"]}


def _product(row: Mapping[str, Any], card: Card, bandwidth: float | None) -> ProductData:
    sms, slices = row["sm_total"], row["memory_slices"]
    offers = {
        each["name"]: Offer(
            each["name"],
            each["memory_mib"],
            each["sm_count"],
            each["sm_count"] / sms if each["sm_count"] and sms else None,
            None if bandwidth is None else bandwidth * each["placement_size"] / slices,
            {engine: each[column] for engine, column in _COLUMNS.items()},
            each["placement_size"],
        )
        for each in row["gi_profiles"]
    }
    engines = {engine: max(offer.engines[engine] for offer in offers.values()) for engine in ENGINES}
    whole = Offer(WHOLE, row["memory_total_mib"], sms, 1.0 if sms else None, bandwidth, engines, slices)
    return ProductData(str(row["key"]), card, whole, offers)
