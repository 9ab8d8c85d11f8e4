"""The named configurations that the GPU Operator ships, rebuilt from its naming rule and our product table.

The rule: `all-disabled`, `all-enabled`, `all-PROFILE` for each profile of each product at its largest count (with
`.me` for `+me`), and `all-balanced`. A profile that two products have in different numbers gets an entry for each,
told apart by device filter. Run as a program it prints the file.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from migprov.mig import geometry
from migprov.mig.geometry import Product

EARLY_GB200 = ("3g.95gb", "4g.95gb", "7g.189gb")
"""What early GB200 boards call their profiles; the Operator ships these names beside those of later boards."""

_BALANCE = {1: 2, 2: 1, 3: 1}
"""Compute slices to the number of such instances in `all-balanced`."""

Entry = dict[str, object]


def layout_file() -> str:
    """The 81 configurations as a layout file."""
    return yaml.safe_dump({"version": "v1", "mig-configs": configurations()}, sort_keys=False)


def configurations() -> dict[str, list[Entry]]:
    """Each name with its entries."""
    named = {"all-disabled": [{"devices": "all", "mig-enabled": False}], "all-enabled": [_entry({})]}
    for profile, counts in _largest_counts().items():
        named[f"all-{profile.replace('+', '.')}"] = list(_all_of(profile, counts))
    named["all-balanced"] = [_entry(_balanced(product), [product]) for product in geometry.products()]
    return named


def _largest_counts() -> dict[str, dict[int, list[Product]]]:
    """Profile name to largest count to the products that have it in this number."""
    found: dict[str, dict[int, list[Product]]] = {}
    for product in geometry.products():
        for profile in product.card.profiles:
            for name in (profile.name, *(alias for alias in profile.aliases if alias in EARLY_GB200)):
                found.setdefault(name, {}).setdefault(profile.max_instances, []).append(product)
    return found


def _all_of(profile: str, counts: dict[int, list[Product]]) -> Iterator[Entry]:
    for count, products in counts.items():
        yield _entry({profile: count}, products if len(counts) > 1 else None)


def _balanced(product: Product) -> dict[str, int]:
    """Two instances of one slice, one of two, and one of three where the product has that."""
    sizes = {profile.slices for profile in product.card.profiles}
    return {_plain_name(product, slices): count for slices, count in _BALANCE.items() if slices in sizes}


def _plain_name(product: Product, slices: int) -> str:
    """The product's profile of so many slices with the least memory, without attributes."""
    fitting = [profile for profile in product.card.profiles if profile.slices == slices and not profile.suffix]
    return min(fitting, key=lambda profile: profile.size).name


def _entry(counts: dict[str, int], products: list[Product] | None = None) -> Entry:
    entry: Entry = {"devices": "all", "mig-enabled": True, "mig-devices": counts}
    if products is not None:
        entry["device-filter"] = [f"{device}10DE" for product in products for device in product.device_ids]
    return entry


if __name__ == "__main__":
    print(layout_file(), end="")
