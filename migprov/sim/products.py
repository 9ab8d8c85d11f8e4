"""The GPUs that a simulated node can have: the product table's complete rows, and one GPU without MIG."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from .errors import SimError
from .state import MAX_GPUS

ALIASES = {
    "A30": "A30-24GB",
    "A100": "A100-80GB",
    "H100": "H100-80GB-SXM",
    "H100-PCIe": "H100-80GB-PCIe",
    "H100-NVL": "H100-NVL-94GB",
    "GH200": "H100-96GB-GH200",
    "H200": "H200-141GB",
    "RTX-PRO-6000": "RTX-PRO-6000-BLACKWELL-96GB",
    "B200": "B200-180GB",
    "GB200": "GB200-186GB",
    "B300": "B300-288GB",
    "GB300": "GB300-288GB",
}

_T4 = {
    "key": "T4",
    "product_names": ["Tesla T4"],
    "pci_device_ids": ["0x1EB8"],
    "compute_capability": "7.5",
    "memory_total_mib": 15360,
    "sm_total": 40,
    "gi_profiles": [],
}

_ARCHITECTURES = {"7": 6, "8": 7, "9": 9, "10": 10, "12": 10}  # NVML_DEVICE_ARCH_* by major compute capability
_CHIPS = {"7": 0x164, "8": 0x170, "9": 0x180, "10": 0x1A0, "12": 0x1B2}
_CORES_PER_SM = {"7": 64, "8": 64, "9": 128, "10": 128, "12": 128}


@dataclass(frozen=True)
class Product:
    """One GPU product. `row` is the product table's; `board` that of `boards.json`: what is known beside it."""

    key: str
    row: dict[str, Any]
    board: dict[str, Any] = field(default_factory=dict)

    @property
    def mig_capable(self) -> bool:
        """Whether it has MIG at all."""
        return bool(self.row["gi_profiles"])

    @property
    def major(self) -> str:
        """Major compute capability, as text."""
        return str(self.row["compute_capability"]).split(".")[0]

    @property
    def architecture(self) -> int:
        """NVML's number of the architecture."""
        return _ARCHITECTURES[self.major]

    @property
    def chip_id(self) -> int:
        """The chip's number, which goes into the UUIDs of MIG devices."""
        return _CHIPS[self.major]

    @property
    def cores(self) -> int:
        """CUDA cores."""
        return int(self.row["sm_total"]) * _CORES_PER_SM[self.major]

    def unknown(self) -> list[str]:
        """What the table does not know of it; a product is simulated only when this is empty."""
        missing = ["total memory"] if self.row["memory_total_mib"] is None else []
        for profile in self.row["gi_profiles"]:
            missing += [
                f"{label} of {profile['name']}"
                for column, label in (("memory_mib", "memory"), ("sm_count", "SM count"))
                if profile[column] is None
            ]
        return missing


@cache
def _table() -> dict[str, Product]:
    data = json.loads(resources.files("migprov.mig").joinpath("geometry.json").read_text(encoding="utf-8"))
    boards = json.loads(Path(__file__).with_name("boards.json").read_text(encoding="utf-8"))["boards"]
    return {row["key"]: Product(row["key"], row, boards.get(row["key"], {})) for row in [*data["products"], _T4]}


def product_names() -> list[str]:
    """The products that can be simulated."""
    return [key for key, product in _table().items() if not product.unknown()]


def refused() -> dict[str, list[str]]:
    """The products that cannot, and what is unknown of each."""
    return {key: product.unknown() for key, product in _table().items() if product.unknown()}


def find(name: str) -> Product:
    """A product by key or alias, in any case. Raises SimError when it is unknown or not known well enough."""
    known = {key.lower(): key for key in _table()} | {alias.lower(): key for alias, key in ALIASES.items()}
    key = known.get(name.strip().lower())
    if key is None:
        names = ", ".join([*product_names(), *(a for a, k in ALIASES.items() if k in product_names())])
        raise SimError(f"no GPU is called {name!r}", next=f"use one of: {names}")
    product = _table()[key]
    if missing := product.unknown():
        raise SimError(
            f"{key} cannot be simulated: unknown are {', '.join(missing)}",
            next=f"use one of: {', '.join(product_names())}",
        )
    return product


def parse(gpus: str) -> list[Product]:
    """`3xA100-80GB` or `2xA100-40GB,1xT4`: the products of a node's GPUs, in order. Raises SimError."""
    found: list[Product] = []
    for part in gpus.split(","):
        match = re.fullmatch(r"\s*(?:(\d+)\s*[xX]\s*)?([A-Za-z].*?)\s*", part)
        if not match or match[1] == "0" * len(match[1] or "."):
            raise SimError(f"{part.strip()!r} is not a number of GPUs", next="write for example 3xA100-80GB,1xT4")
        product, count = find(match[2]), int(match[1] or 1)
        if len(found) + count > MAX_GPUS:
            raise SimError(f"{len(found) + count} GPUs in one node: at most {MAX_GPUS}")
        found += [product] * count
    return found
