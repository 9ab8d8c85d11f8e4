"""What Slurm hands out on a node, its GPUs and MIG devices; `migprov.render.gres` makes them from its state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """One thing that Slurm can hand out: its type and the device files that give access to it."""

    type: str
    files: tuple[str, ...]

    def line(self, node: str) -> str:
        """Its line of gres.conf."""
        files = f"MultipleFiles={','.join(self.files)}" if len(self.files) > 1 else f"File={self.files[0]}"
        return f"NodeName={node} Name=gpu Type={self.type} {files}"


@dataclass(frozen=True)
class Gres:
    """The devices of a node, or, with `autodetect`, the types that slurmd is going to find."""

    devices: tuple[Device, ...]
    autodetect: bool = False

    @property
    def items(self) -> tuple[str, ...]:
        """The parts of `Gres=`, such as `gpu:a100_3g.40gb:2`, in the order of the devices."""
        return tuple(f"gpu:{type_}:{count}" for type_, count in Counter(device.type for device in self.devices).items())
