"""The product table: what is known of each GPU without asking it.

The data stands in ``geometry.json`` with its sources and how sure each row is. A card's own answers, read through
NVML, overrule it; the table serves where a driver does not tell profiles while MIG is off.
"""

from __future__ import annotations

import json
import pkgutil
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .profiles import Card, Profile

_cache: List[Tuple[Product, ...]] = []


class Product(NamedTuple):
    """One GPU product. ``min_driver`` is the first driver with MIG for it, or None when not known.

    ``mode_needs_reset``: Ampere changes its MIG mode by a reset and keeps it over a reboot; newer families change
    at once and forget.
    """

    key: str
    names: Tuple[str, ...]
    device_ids: Tuple[str, ...]
    min_driver: Optional[str]
    mode_needs_reset: bool
    card: Card


def products() -> Tuple[Product, ...]:
    """Every product of the table, read once."""
    if not _cache:
        data = pkgutil.get_data(__package__ or "", "geometry.json")
        _cache.append(tuple(_product(row) for row in json.loads(data or b"{}")["products"]))
    return _cache[0]


def find(device_id: str, name: str) -> Optional[Product]:
    """The product of a GPU by its name, else by PCI device id (``0xDDDDVVVV``); None when unknown."""
    for product in products():
        if name in product.names:
            return product
    short = device_id[:6].upper()
    for product in products():
        if short in [known.upper() for known in product.device_ids]:
            return product
    return None


def _product(row: Dict[str, Any]) -> Product:
    aliases = row.get("name_aliases", {})
    return Product(
        key=row["key"],
        names=tuple(row["product_names"]),
        device_ids=tuple(row["pci_device_ids"]),
        min_driver=row["min_driver"],
        mode_needs_reset=row["mig_mode_change_needs_gpu_reset"],
        card=Card(row["key"], tuple(_profile(p, aliases) for p in row["gi_profiles"]), "table"),
    )


def _profile(row: Dict[str, Any], aliases: Dict[str, List[str]]) -> Profile:
    return Profile(
        name=row["name"],
        profile_id=row["profile_id"],
        slices=row["slice_count"],
        memory_mib=row["memory_mib"],
        sm_count=row["sm_count"],
        max_instances=row["max_instances"],
        starts=tuple(row["placement_starts"]),
        size=row["placement_size"],
        aliases=tuple(aliases.get(str(row["profile_id"]), ())),
    )
