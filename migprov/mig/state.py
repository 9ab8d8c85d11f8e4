"""The state of a node's GPUs, as read."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

from .profiles import Card


class ComputeInstance(NamedTuple):
    """``start`` and ``size`` are compute slices inside the GPU instance; ``uuid`` is the MIG device's.

    ``cap_minor`` is the minor number of its device file in ``/dev/nvidia-caps``; None where that was not read.
    """

    ci_id: Optional[int]
    profile: str
    start: Optional[int]
    size: int
    profile_id: Optional[int] = None
    uuid: Optional[str] = None
    cap_minor: Optional[int] = None


class GpuInstance(NamedTuple):
    """``start`` and ``size`` are memory slices. ``gi_id`` is None in a predicted state."""

    gi_id: Optional[int]
    profile: str
    profile_id: int
    start: int
    size: int
    compute_instances: Tuple[ComputeInstance, ...] = ()
    cap_minor: Optional[int] = None


class Process(NamedTuple):
    """A process on a GPU. ``memory_mib`` is None where the driver does not say.

    ``kind``: ``compute``, ``graphics`` or ``mps`` as NVML lists it, ``open`` for one that merely has the device open.
    ``start_ticks`` (since boot) and ``started`` (seconds since the epoch) are None for a process of a pid namespace
    that cannot be seen. ``unit`` is its systemd unit, ``container`` its container's id.
    """

    pid: int
    command: str
    user: str
    memory_mib: Optional[int]
    gi_id: Optional[int]
    ci_id: Optional[int]
    kind: str
    start_ticks: Optional[int] = None
    started: Optional[float] = None
    arguments: str = ""
    unit: Optional[str] = None
    container: Optional[str] = None

    @property
    def label(self) -> str:
        """How messages name the process."""
        place = self.unit or (self.container and "container %s" % self.container[:12])
        return "process %d (%s, user %s%s)" % (self.pid, self.command, self.user, ", %s" % place if place else "")


class Trouble(NamedTuple):
    """Why a GPU could not be read."""

    code: str
    message: str


class Gpu(NamedTuple):
    """One GPU. ``error`` says why it could not be read; then the other fields hold what is known.

    ``needs_reset`` says why it waits for a reset, apart from a pending MIG mode; None when it does not.
    """

    index: int  # type: ignore[assignment]  # the name the field uses; tuple.index is not called
    uuid: str = ""
    pci_bus_id: str = ""
    minor: Optional[int] = None
    name: str = ""
    device_id: str = ""
    product: Optional[str] = None
    memory_mib: Optional[int] = None
    memory_used_mib: Optional[int] = None
    mig_capable: bool = False
    mig_current: bool = False
    mig_pending: bool = False
    instances: Tuple[GpuInstance, ...] = ()
    processes: Tuple[Process, ...] = ()
    needs_reset: Optional[str] = None
    error: Optional[Trouble] = None

    @property
    def label(self) -> str:
        """How messages name the GPU."""
        return "GPU %d (%s)" % (self.index, self.uuid or "no UUID")


class State(NamedTuple):
    """A node's GPUs. ``cards`` holds the profiles by GPU index, where they were asked for.

    ``cap_minors``: ``cap_minor`` of the instances was read, and is part of the wire form.
    """

    driver_version: str
    gpus: Tuple[Gpu, ...]
    cards: Optional[Dict[int, Card]] = None
    cap_minors: bool = False

    def gpu(self, index: int) -> Gpu:
        return next(gpu for gpu in self.gpus if gpu.index == index)

    def to_json(self) -> Dict[str, Any]:
        """The wire form (docs/architecture.md)."""
        return {"driver_version": self.driver_version, "gpus": [_gpu_json(gpu, self.cap_minors) for gpu in self.gpus]}


def _gpu_json(gpu: Gpu, cap_minors: bool) -> Dict[str, Any]:
    data = dict(gpu._asdict())
    data["instances"] = [
        dict(
            _instance_json(gi, cap_minors),
            compute_instances=[_instance_json(ci, cap_minors) for ci in gi.compute_instances],
        )
        for gi in gpu.instances
    ]
    data["processes"] = [dict(process._asdict()) for process in gpu.processes]
    data["error"] = None if gpu.error is None else dict(gpu.error._asdict())
    return data


def _instance_json(instance: Union[GpuInstance, ComputeInstance], cap_minors: bool) -> Dict[str, Any]:
    data = dict(instance._asdict())
    if not cap_minors:
        del data["cap_minor"]
    return data
