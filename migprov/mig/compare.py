"""Verify: in which ways a GPU differs from what is wanted."""

from __future__ import annotations

from collections import Counter
from typing import List, Mapping, Optional, Tuple

from .compute import Compute, wanted_computes
from .errors import MigError
from .profiles import Card, Profile, count_names
from .state import Gpu, GpuInstance, State
from .wanted import WantedGpu, WantedInstance


def differences(state: State, wanted: Mapping[int, WantedGpu]) -> List[str]:
    """One sentence for each way in which a GPU is not as wanted; empty when every one is exactly so."""
    cards = state.cards or {}
    found: List[str] = []
    for index in sorted(wanted):
        gpu = state.gpu(index)
        found += ["%s: %s" % (gpu.label, text) for text in _of_gpu(gpu, wanted[index], cards.get(index))]
    return found


def _of_gpu(gpu: Gpu, wanted: WantedGpu, card: Optional[Card]) -> List[str]:
    if gpu.error is not None:
        return [gpu.error.message]
    if not gpu.mig_capable:
        return ["has no MIG, and MIG mode is wanted"] if wanted.mig_enabled else []
    found = []
    if gpu.mig_current != wanted.mig_enabled:
        found.append("MIG mode is %s, wanted is %s" % (_on(gpu.mig_current), _on(wanted.mig_enabled)))
    if gpu.mig_pending != gpu.mig_current:
        found.append("MIG mode %s is pending: the GPU has not been reset" % _on(gpu.mig_pending))
    if wanted.mig_enabled and wanted.instances is not None and not found:
        found += _of_instances(gpu, card, wanted.instances)
    return found


def _on(enabled: bool) -> str:
    return "enabled" if enabled else "disabled"


def _of_instances(gpu: Gpu, card: Optional[Card], wanted: Tuple[WantedInstance, ...]) -> List[str]:
    if card is None:
        return ["the profiles of this GPU are not known"]
    free = list(gpu.instances)
    found: List[str] = []
    missing: List[str] = []
    # the most particular first, so that an instance with a place of its own is not taken by one without
    for item in sorted(wanted, key=_freedom):
        try:
            profile = card.find(item.profile, gpu.index)
            computes = wanted_computes(item, profile, gpu.index)
        except MigError as error:
            found.append(error.message)
            continue
        match = _match(free, profile, item.start, computes)
        if match is None:
            missing.append(profile.name + ("" if item.start is None else " at slice %d" % item.start))
            continue
        free.remove(match)
        found += _inside(match, computes)
    if missing:
        found.append("missing: %s" % count_names(missing))
    if free:
        found.append("not wanted: %s" % count_names("%s at slice %d" % (gi.profile, gi.start) for gi in free))
    return found


def _freedom(wanted: WantedInstance) -> Tuple[bool, int, bool]:
    inner = wanted.compute_instances or ()
    return (
        wanted.start is None,
        -sum(compute.start is not None for compute in inner),
        wanted.compute_instances is None,
    )


def _match(
    free: List[GpuInstance], profile: Profile, start: Optional[int], computes: Tuple[Compute, ...]
) -> Optional[GpuInstance]:
    fitting = [gi for gi in free if gi.profile_id == profile.profile_id and start in (None, gi.start)]
    exact = [gi for gi in fitting if not _inside(gi, computes)]
    return next(iter(exact or fitting), None)


def _inside(gi: GpuInstance, computes: Tuple[Compute, ...]) -> List[str]:
    where = "%s at slice %d" % (gi.profile, gi.start)
    have = Counter(ci.size for ci in gi.compute_instances)
    want = Counter(compute.slices for compute in computes)
    pinned = [c for c in computes if c.start is not None]
    off = [c for c in pinned if not any((ci.start, ci.size) == (c.start, c.slices) for ci in gi.compute_instances)]
    if have != want:
        return ["%s has compute instances of %s slices, wanted are %s" % (where, _slices(have), _slices(want))]
    if off:
        return ["%s has no compute instance of %d slices at %s" % (where, off[0].slices, off[0].start)]
    return ["%s: compute instance %s has no usable MIG device" % (where, ci.ci_id)
            for ci in gi.compute_instances if not ci.uuid]  # fmt: skip


def _slices(counts: "Counter[int]") -> str:
    return " + ".join(str(size) for size in sorted(counts.elements(), reverse=True)) or "no"
