"""What NVML tells, as plain data."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple


class Identity(NamedTuple):
    """What names a GPU. ``device_id`` is ``0xDDDDVVVV``."""

    index: int  # type: ignore[assignment]  # the name the field uses; tuple.index is not called
    uuid: str
    pci_bus_id: str
    minor: Optional[int]
    name: str
    device_id: str


class GiProfile(NamedTuple):
    """A GPU instance profile as NVML tells it; memory in MiB, starts and size in memory slices."""

    name: str
    profile_id: int
    slices: int
    memory_mib: int
    sm_count: int
    max_instances: int
    starts: Tuple[int, ...]
    size: int


class Gi(NamedTuple):
    """A GPU instance: start and size in memory slices."""

    gi_id: int
    profile_id: int
    start: int
    size: int


class Ci(NamedTuple):
    """A compute instance: start and size in compute slices of its GPU instance."""

    ci_id: int
    profile_id: int
    start: int
    size: int


class MigDevice(NamedTuple):
    """A MIG device, as programs see it."""

    gi_id: int
    ci_id: int
    uuid: str


class Client(NamedTuple):
    """A process that NVML lists on a GPU; memory in MiB."""

    pid: int
    memory_mib: Optional[int]
    gi_id: Optional[int]
    ci_id: Optional[int]
    kind: str
