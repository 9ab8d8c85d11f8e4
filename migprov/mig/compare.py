"""Verify: in which ways a GPU differs from what is wanted."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

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
    found: List[str] = []
    asked: List[_Asked] = []
    for item in wanted:
        try:
            profile = card.find(item.profile, gpu.index)
            asked.append(_Asked(profile, item.start, wanted_computes(item, profile, gpu.index)))
        except MigError as error:
            found.append(error.message)
    served = _served(asked, gpu.instances)
    for number, one in enumerate(asked):
        if number in served:
            found += _inside(served[number], one.computes)
    missing = [one for number, one in enumerate(asked) if number not in served]
    if missing:
        names = (one.profile.name + ("" if one.start is None else " at slice %d" % one.start) for one in missing)
        found.append("missing: %s" % count_names(names))
    free = [gi for gi in gpu.instances if gi not in served.values()]
    if free:
        found.append("not wanted: %s" % count_names("%s at slice %d" % (gi.profile, gi.start) for gi in free))
    return found


class _Asked(NamedTuple):
    profile: Profile
    start: Optional[int]
    computes: Tuple[Compute, ...]


def _served(asked: Sequence[_Asked], instances: Sequence[GpuInstance]) -> Dict[int, GpuInstance]:
    """Which instance serves each wish, so that as many as possible are served exactly, then as many as possible."""
    fitting = [
        [
            n
            for n, gi in enumerate(instances)
            if gi.profile_id == one.profile.profile_id and one.start in (None, gi.start)
        ]
        for one in asked
    ]
    exact = [[n for n in ways if not _inside(instances[n], one.computes)] for one, ways in zip(asked, fitting)]
    either = [[*sure, *(n for n in ways if n not in sure)] for sure, ways in zip(exact, fitting)]
    taken: Dict[int, int] = {}

    def serve(wish: int, ways: Sequence[Sequence[int]], tried: Set[int]) -> bool:
        for instance in ways[wish]:
            if instance not in tried:
                tried.add(instance)
                # one that is taken already can be had where its wish can be served by another
                if instance not in taken or serve(taken[instance], ways, tried):
                    taken[instance] = wish
                    return True
        return False

    for ways in (exact, either):
        for wish in range(len(asked)):
            if wish not in taken.values():
                serve(wish, ways, set())
    return {wish: instances[instance] for instance, wish in taken.items()}


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
