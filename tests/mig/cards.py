"""Cards and states for the tests of the pure core."""

from __future__ import annotations

from collections.abc import Iterable

from migprov.mig import geometry
from migprov.mig.profiles import Card
from migprov.mig.state import ComputeInstance, Gpu, GpuInstance, Process, State

PRODUCTS = {product.key: product for product in geometry.products()}
A100 = PRODUCTS["A100-80GB"]
BASE = ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")


def instance(
    card: Card, name: str, start: int, gi_id: int = 1, computes: Iterable[tuple[int, int]] | None = None
) -> GpuInstance:
    """An existing GPU instance; ``computes`` are (start, slices), one that spans it unless given."""
    profile = card.find(name)
    spans = [(0, profile.slices)] if computes is None else list(computes)
    inner = tuple(
        ComputeInstance(n, f"{size}c.{name}" if size != profile.slices else name, at, size, uuid=f"MIG-{gi_id}-{n}")
        for n, (at, size) in enumerate(spans)
    )
    return GpuInstance(gi_id, name, profile.profile_id, start, profile.size, inner)


def gpu(index: int = 0, key: str = "A100-80GB", **fields: object) -> Gpu:
    """A GPU of a product, MIG on unless said otherwise."""
    product = PRODUCTS[key]
    values: dict[str, object] = {
        "uuid": f"GPU-{index}",
        "name": product.names[0],
        "device_id": product.device_ids[0] + "10DE",
        "pci_bus_id": f"00000000:{index + 7:02X}:00.0",
        "product": key,
        "mig_capable": True,
        "mig_current": True,
        "mig_pending": True,
    }
    return Gpu(index, **{**values, **fields})  # type: ignore[arg-type]


def t4(index: int) -> Gpu:
    """A GPU without MIG."""
    return Gpu(index, uuid=f"GPU-{index}", name="Tesla T4", device_id="0x1EB810DE", pci_bus_id="00000000:20:00.0")


def state(*gpus: Gpu) -> State:
    """A node of these GPUs, with the profiles of the table."""
    cards = {g.index: PRODUCTS[g.product].card for g in gpus if g.product}
    return State("580.159.04", gpus, cards)


def process(pid: int = 4242, gi_id: int | None = None, ci_id: int | None = None) -> Process:
    return Process(pid, "python3", "asr", 9830, gi_id, ci_id, "compute")
