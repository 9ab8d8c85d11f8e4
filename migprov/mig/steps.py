"""Steps: the only ways in which a node is changed."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

SET_MIG_MODE = "set_mig_mode"
RESET_GPU = "reset_gpu"
DESTROY_COMPUTE_INSTANCE = "destroy_compute_instance"
DESTROY_GPU_INSTANCE = "destroy_gpu_instance"
CREATE_GPU_INSTANCE = "create_gpu_instance"
CREATE_COMPUTE_INSTANCE = "create_compute_instance"

_FIELDS = {
    SET_MIG_MODE: ("enabled",),
    RESET_GPU: (),
    DESTROY_COMPUTE_INSTANCE: ("gi_id", "profile", "gi_start", "ci_id", "ci_profile"),
    DESTROY_GPU_INSTANCE: ("gi_id", "profile", "start", "size"),
    CREATE_GPU_INSTANCE: ("profile", "profile_id", "start", "size"),
    CREATE_COMPUTE_INSTANCE: ("profile", "gi_start", "ci_profile", "ci_start"),
}


class Step(NamedTuple):
    """One change to one GPU; which fields matter depends on ``action``.

    ``start``, ``size`` and ``gi_start`` are memory slices, ``ci_start`` is a compute slice inside the GPU instance or
    None where the driver chooses. A step holds only what is known before it is done.
    """

    action: str
    gpu: int
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

    def to_json(self) -> Dict[str, Any]:
        """The wire form (docs/architecture.md)."""
        data: Dict[str, Any] = {"action": self.action, "gpu": self.gpu, "uuid": self.uuid}
        for field in _FIELDS[self.action]:
            data[field] = getattr(self, field)
        return data
