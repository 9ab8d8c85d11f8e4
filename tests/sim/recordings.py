"""The recordings of real cards in tests/data, and simulated nodes like the machines they were made on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migprov.sim.driver import SimNode

DATA = Path(__file__).parents[1] / "data"
GEOMETRY = json.loads((Path(__file__).parents[2] / "migprov" / "mig" / "geometry.json").read_text())
MIB = 1 << 20


def files(pattern: str) -> list[Path]:
    """The recordings whose names match; a new file is picked up by its name alone."""
    return sorted(DATA.glob(pattern))


@dataclass(frozen=True)
class Machine:
    """What a simulated node needs to be like a recorded machine."""

    product: str
    gpus: int
    driver_version: str
    passed_through: bool

    @classmethod
    def of_calls(cls, recorded: dict[str, Any]) -> Machine:
        """That of a recording of NVML's calls."""
        idle, system = recorded["idle"], recorded["system"]
        return cls(
            product_of(idle["nvmlDeviceGetPciInfo"]["ok"]["pciDeviceId"]),
            system["nvmlDeviceGetCount"]["ok"],
            system["nvmlSystemGetDriverVersion"]["ok"],
            idle["nvmlDeviceGetVirtualizationMode"]["ok"] == 1,
        )

    def like(self, node: SimNode) -> None:
        """Set what `SimNode.create` does not."""
        for index in range(self.gpus if self.passed_through else 0):
            node.fault(index, hypervisor=True)

    @property
    def gpu_list(self) -> str:
        """As `SimNode.create` wants it."""
        return f"{self.gpus}x{self.product}"


def product_of(pci_device_id: int) -> str:
    """The key of the product with that PCI id (device and vendor), by the product table."""
    device = f"{pci_device_id >> 16:04X}"
    keys = [row["key"] for row in GEOMETRY["products"] if f"0x{device}" in row["pci_device_ids"]]
    assert len(keys) == 1, f"products with the PCI device id 0x{device}: {keys}"
    return str(keys[0])


def form(value: Any) -> Any:
    """What a value looks like without what it is: texts keep their length, numbers and lists nothing."""
    if isinstance(value, dict):
        return {key: each if key == "version" else form(each) for key, each in value.items()}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    if isinstance(value, str):
        return re.sub(r"[0-9a-fA-F]", "0", value) if re.fullmatch(r"[\w:.-]*", value) else "text"
    return type(value).__name__
