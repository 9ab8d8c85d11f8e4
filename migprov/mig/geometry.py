"""The product table: what is known of each GPU without asking it.

The data stands in ``geometry.json`` with its sources and how sure each row is. A card's own answers, read through
NVML, overrule it; the table serves where a driver does not tell profiles while MIG is off.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .profiles import Card, Profile

_cache: List[Tuple[Product, ...]] = []
_table: List[Dict[str, Any]] = []
_found: Dict[Tuple[str, str], Optional[Product]] = {}
_ROW = ("key", "product_names", "pci_device_ids", "min_driver", "mig_mode_change_needs_gpu_reset", "name_aliases")
_PROFILE = (
    "name",
    "profile_id",
    "slice_count",
    "memory_mib",
    "sm_count",
    "max_instances",
    "placement_starts",
    "placement_size",
)


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
        _cache.append(tuple(_product(row) for row in _rows()))
    return _cache[0]


def find(device_id: str, name: str) -> Optional[Product]:
    """The product of a GPU by its name, else by PCI device id (``0xDDDDVVVV``); None when unknown."""
    asked = (device_id[:6].upper(), name)
    if asked not in _found:
        _found[asked] = next(iter(_called(*asked)), None)
    return _found[asked]


def for_nodes(table: bytes) -> bytes:
    """The table without what the node program does not read: it is read at every start there."""
    rows = [
        {**{key: row[key] for key in _ROW if key in row}, "gi_profiles": [_needed(p) for p in row["gi_profiles"]]}
        for row in json.loads(table)["products"]
    ]
    return json.dumps({"products": rows}, separators=(",", ":")).encode("ascii")


def _needed(profile: Dict[str, Any]) -> Dict[str, Any]:
    return {key: profile[key] for key in _PROFILE}


def _rows() -> List[Dict[str, Any]]:
    if not _table:
        # as pkgutil.get_data, which takes longer to import than all of this
        path = os.path.join(os.path.dirname(__file__), "geometry.json")
        loader: Any = sys.modules[__name__].__loader__
        _table.extend(json.loads(loader.get_data(path))["products"])
    return _table


def _called(short: str, name: str) -> Iterator[Product]:
    rows = _rows()
    yield from (_product(row) for row in rows if name in row["product_names"])
    yield from (_product(row) for row in rows if short in [known.upper() for known in row["pci_device_ids"]])


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
