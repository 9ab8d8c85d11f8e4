"""Which instances of which products a workload can live in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .model import WHOLE, Workload
from .products import Offer, ProductData


def lacks(workload: Workload, offer: Offer) -> str | None:
    """What an offer lacks for one replica, for people; None when it is enough.

    A figure of the table that is not known is not enough: nobody is placed on a guess.
    """
    for what, has, needs, unit in (
        ("memory", offer.memory_mib, workload.needed_mib, "MiB"),
        ("SMs", offer.sms, workload.sms, "SMs"),
        ("share of the SMs", offer.sm_share, workload.share, "of the card's SMs"),
        ("bandwidth", offer.bandwidth_gbs, workload.bandwidth_gbs, "GB/s"),
    ):
        if needs is None:
            continue
        if has is None:
            return f"its {what} is not known"
        if has < needs:
            return f"it has {has:.6g} {unit} and {needs:.6g} are needed"
    missing = sorted(engine for engine in workload.engines if not offer.engines.get(engine))
    return f"it has no {' and no '.join(missing)}" if missing else None


def accepts(workload: Workload, product: ProductData) -> frozenset[str]:
    """The names of the profiles of a product, and `gpu`, that are enough for one replica.

    Graphics profiles (`+gfx`) are left to those who ask for graphics, which nobody does here.
    """
    if workload.products and product.key not in workload.products:
        return frozenset()
    names = [WHOLE, *(name for name in product.offers if "+gfx" not in name)]
    return frozenset(name for name in names if lacks(workload, product.offer(name)) is None)


def fits_whole_without_headroom(workload: Workload, product: ProductData) -> bool:
    """Whether a whole card holds the peak, if not the headroom: what is left where nothing larger exists."""
    if workload.products and product.key not in workload.products:
        return False
    return lacks(replace(workload, headroom=0.0), product.whole) is None


def why_nowhere(workload: Workload, products: Iterable[ProductData]) -> str:
    """Why no card of these products can take the workload: what the largest of each lacks."""
    parts = []
    for each in sorted(products, key=lambda product: product.key):
        if workload.products and each.key not in workload.products:
            parts.append(f"{each.key}: not one of its products")
        else:
            parts.append(f"{each.key}: {lacks(workload, each.whole)}")
    return "; ".join(parts) or "the fleet has no card that may be used"
