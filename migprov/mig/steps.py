"""Steps: the only ways in which a node is changed."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

SET_MIG_MODE = "set_mig_mode"
RESET_GPU = "reset_gpu"
DESTROY_COMPUTE_INSTANCE = "destroy_compute_instance"
DESTROY_GPU_INSTANCE = "destroy_gpu_instance"
CREATE_GPU_INSTANCE = "create_gpu_instance"
CREATE_COMPUTE_INSTANCE = "create_compute_instance"
WAIT_FOR_PROCESS = "wait_for_process"
END_PROCESS = "end_process"
STOP_SERVICE = "stop_service"
START_SERVICE = "start_service"

_FIELDS = {
    SET_MIG_MODE: ("enabled",),
    RESET_GPU: (),
    DESTROY_COMPUTE_INSTANCE: ("gi_id", "profile", "gi_start", "ci_id", "ci_profile"),
    DESTROY_GPU_INSTANCE: ("gi_id", "profile", "start", "size"),
    CREATE_GPU_INSTANCE: ("profile", "profile_id", "start", "size"),
    CREATE_COMPUTE_INSTANCE: ("profile", "gi_start", "ci_profile", "ci_start"),
    WAIT_FOR_PROCESS: ("pid", "start_ticks", "command", "user"),
    END_PROCESS: ("pid", "start_ticks", "command", "user"),
    STOP_SERVICE: ("unit",),
    START_SERVICE: ("unit",),
}


class Step(NamedTuple):
    """One change; which fields matter depends on ``action``.

    ``gpu`` is None for a service that is started again: it may have been stopped for several GPUs. ``start``,
    ``size`` and ``gi_start`` are memory slices, ``ci_start`` is a compute slice inside the GPU instance or None where
    the driver chooses. A step holds only what is known before it is done.
    """

    action: str
    gpu: Optional[int]
    uuid: str
    enabled: Optional[bool] = None
    gi_id: Optional[int] = None
    profile: str = ""
    profile_id: Optional[int] = None
    start: Optional[int] = None
    size: Optional[int] = None
    gi_start: Optional[int] = None
    ci_id: Optional[int] = None
    ci_profile: str = ""
    ci_start: Optional[int] = None
    pid: Optional[int] = None
    start_ticks: Optional[int] = None
    command: str = ""
    user: str = ""
    unit: str = ""

    def to_json(self) -> Dict[str, Any]:
        """The wire form (docs/architecture.md)."""
        data: Dict[str, Any] = {"action": self.action, "gpu": self.gpu, "uuid": self.uuid}
        for field in _FIELDS[self.action]:
            data[field] = getattr(self, field)
        return data
