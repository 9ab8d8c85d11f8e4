"""What is used of each GPU and GPU instance at this moment: one sample. Nothing here writes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..mig.errors import MigError
from ..mig.state import Gpu, GpuInstance
from .nvml import Nvml


def measure(nvml: Nvml, gpus: Sequence[Gpu]) -> List[Dict[str, Any]]:
    """A sample of every GPU that answers. Memory in MiB, None where the driver does not tell.

    ``busy_percent`` is the share of the driver's last sample period in which a kernel ran; with MIG on it is None.
    The memory of the card itself, and that of each process, stand in the state.
    """
    return [_gpu(nvml, gpu) for gpu in gpus if gpu.error is None]


def _gpu(nvml: Nvml, gpu: Gpu) -> Dict[str, Any]:
    instances: List[Dict[str, Any]] = []
    busy: Optional[int] = None
    try:
        busy = nvml.busy_percent(gpu.uuid)
        if gpu.mig_current:
            memory = nvml.instances_memory_mib(gpu.uuid)
            instances = [_instance(instance, memory) for instance in gpu.instances]
    except MigError:
        pass  # it went away since its state was read; the next sample tells how it is
    return {"gpu": gpu.index, "uuid": gpu.uuid, "busy_percent": busy, "instances": instances}


def _instance(instance: GpuInstance, memory: Dict[int, Tuple[int, int]]) -> Dict[str, Any]:
    total, used = memory.get(instance.gi_id or 0, (None, None))
    return {"gi_id": instance.gi_id, "memory_mib": total, "memory_used_mib": used}
