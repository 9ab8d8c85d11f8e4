"""A state as the layout that would bring it back, every placement in it."""

from __future__ import annotations

from typing import Any, Collection, Dict, List

from .state import Gpu, State
from .wanted import Entry, WantedCompute, WantedInstance


def as_entries(state: State, gpus: Collection[int]) -> List[Dict[str, Any]]:
    """The entries, in wire form, that describe these GPUs exactly as they are, by UUID."""
    return [_entry(gpu).to_json() for gpu in state.gpus if gpu.index in gpus and gpu.error is None and gpu.mig_capable]


def _entry(gpu: Gpu) -> Entry:
    instances = tuple(
        WantedInstance(gi.profile, gi.start, tuple(WantedCompute(ci.profile, ci.start) for ci in gi.compute_instances))
        for gi in gpu.instances
    )
    return Entry((gpu.uuid,), gpu.mig_current, instances, source="the journal")
