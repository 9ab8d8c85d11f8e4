"""Reading a node's state: as plain data, its counters, its log of writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import state as layout
from .errors import SimError
from .holders import living


def create(path: Path) -> None:
    """An empty log of writes beside the state."""
    log = _log(path)
    log.touch(mode=0o644)
    log.chmod(0o644)


def writes(path: Path) -> list[dict[str, Any]]:
    """The log of writes, oldest first."""
    return [json.loads(line) for line in _log(path).read_text().splitlines()]


def counters(node: layout.State) -> dict[str, int]:
    """Calls by name, those never called left out."""
    return {
        node.call_names[index].value.decode(): int(node.counters[index])
        for index in range(node.call_count)
        if node.counters[index]
    }


def reset(path: Path, node: layout.State) -> None:
    """Forget counters and writes. The state is locked, so no write is lost between."""
    for index in range(node.call_count):
        node.counters[index] = 0
    node.write_count = 0
    _log(path).write_text("")


def gpu_index(node: layout.State, gpu: int | str) -> int:
    """The index of a GPU given by index or UUID. Raises SimError."""
    for index in range(node.gpu_count):
        if str(gpu) in (str(index), node.gpus[index].uuid.decode()):
            return index
    raise SimError(f"there is no GPU {gpu}: the node has {node.gpu_count}", next="see `migprov sim show`")


def show(node: layout.State) -> dict[str, Any]:
    """The node as plain data."""
    return {
        "driver": layout.DRIVER_CONDITIONS[node.driver_condition],
        "driver_version": node.driver_version.decode(),
        "gpus": [_gpu(node, index) for index in range(node.gpu_count)],
        "faults": [_fault(fault) for fault in node.faults if fault.used],
        "write_count": int(node.write_count),
    }


def _gpu(node: layout.State, index: int) -> dict[str, Any]:
    gpu = node.gpus[index]
    return {
        "index": index,
        "uuid": gpu.uuid.decode(),
        "name": gpu.name.decode(),
        "product": gpu.product.decode(),
        "serial": gpu.serial.decode(),
        "pci_bus_id": f"{gpu.pci_domain:08X}:{gpu.pci_bus:02X}:{gpu.pci_device:02X}.0",
        "minor": gpu.minor,
        "memory_mib": gpu.memory_bytes >> 20,
        "mig_capable": bool(gpu.mig_capable),
        "mig_current": bool(gpu.mig_current),
        "mig_pending": bool(gpu.mig_pending),
        "hypervisor": bool(gpu.hypervisor),
        "lost": bool(gpu.lost),
        "requires_reset": bool(gpu.requires_reset),
        "remap_pending": bool(gpu.remap_pending),
        "resets": gpu.resets,
        "instances": [_instance(gpu, gi) for gi in sorted(_used(gpu.gi), key=lambda gi: gi.id)],
        "processes": [_process(process) for process in living(node) if process.gpu == index],
    }


def _used(records: Any) -> list[Any]:
    return [record for record in records if record.used]


def _instance(gpu: layout.Gpu, gi: layout.GpuInstance) -> dict[str, Any]:
    profile = gpu.profiles[gi.profile]
    return {
        "gi_id": gi.id,
        "profile": _plain(profile.name),
        "profile_id": profile.id,
        "start": gi.start,
        "size": gi.size,
        "compute_instances": [_compute_instance(profile, ci) for ci in _used(gi.ci)],
    }


def _compute_instance(profile: layout.GiProfile, ci: layout.ComputeInstance) -> dict[str, Any]:
    part = profile.ci[ci.profile]
    name = _plain(profile.name)
    return {
        "ci_id": ci.id,
        "profile": name if part.slices == profile.slices else f"{part.slices}c.{name}",
        "profile_id": part.id,
        "start": ci.start,
        "size": ci.size,
        "uuid": ci.uuid.decode(),
    }


def _plain(nvml_name: bytes) -> str:
    return nvml_name.decode().removeprefix("MIG ")


def _process(process: layout.Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "kind": layout.KINDS[process.kind],
        "memory_mib": process.memory_bytes >> 20,
        "gi_id": None if process.gi_id == layout.NO_INSTANCE else process.gi_id,
        "ci_id": None if process.ci_id == layout.NO_INSTANCE else process.ci_id,
    }


def _fault(fault: layout.Fault) -> dict[str, Any]:
    return {
        "gpu": None if fault.gpu < 0 else fault.gpu,
        "call": fault.call.decode() or None,
        "error": fault.error or None,
        "times": None if fault.times < 0 else fault.times,
        "hang_s": fault.hang_us / 1e6 or None,
        "skip": fault.skip,
        "late": bool(fault.late),
        "kill": bool(fault.kill),
    }


def _log(path: Path) -> Path:
    return path.with_name(path.name + ".writes")
