"""What NVML tells, as plain data: made of its structures, none of which goes further than this."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

_NO_INSTANCE = 0xFFFFFFFF


def text(value: Any) -> str:
    """A text of NVML's; some versions of its bindings leave it as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


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

    @classmethod
    def of(cls, info: Any, starts: Tuple[int, ...], size: int) -> GiProfile:
        """From an nvmlGpuInstanceProfileInfo_t; NVML's names begin with ``MIG ``."""
        name = text(info.name)
        return cls(
            name=name[4:] if name.startswith("MIG ") else name,
            profile_id=int(info.id),
            slices=int(info.sliceCount),
            memory_mib=int(info.memorySizeMB),
            sm_count=int(info.multiprocessorCount),
            max_instances=int(info.instanceCount),
            starts=starts,
            size=size,
        )


class Gi(NamedTuple):
    """A GPU instance: start and size in memory slices."""

    gi_id: int
    profile_id: int
    start: int
    size: int

    @classmethod
    def of(cls, info: Any) -> Gi:
        """From an nvmlGpuInstanceInfo_t."""
        return cls(int(info.id), int(info.profileId), int(info.placement.start), int(info.placement.size))


class Ci(NamedTuple):
    """A compute instance: start and size in compute slices of its GPU instance."""

    ci_id: int
    profile_id: int
    start: int
    size: int

    @classmethod
    def of(cls, info: Any, slices: int) -> Ci:
        """From an nvmlComputeInstanceInfo_t, and the compute slices of its profile."""
        return cls(int(info.id), int(info.profileId), int(info.placement.start), slices)


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

    @classmethod
    def of(cls, process: Any, kind: str) -> Client:
        """From an nvmlProcessInfo_t of the list of that kind."""
        used = process.usedGpuMemory
        gi_id, ci_id = _instance_id(process.gpuInstanceId), _instance_id(process.computeInstanceId)
        return cls(int(process.pid), None if used is None else int(used) >> 20, gi_id, ci_id, kind)


def _instance_id(value: Any) -> Optional[int]:
    return None if value is None or int(value) == _NO_INSTANCE else int(value)
