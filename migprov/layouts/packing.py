"""Counts of compute instances such as ``1c.3g.40gb`` packed into GPU instances.

A count of ``Xc.Yg.Zgb`` in a layout file asks for compute instances, not GPU instances. They go into GPU
instances of profile ``Yg.Zgb`` (Y compute slices each), first fit decreasing, as in mig-parted.
``7c.7g.80gb`` takes all of its GPU instance and equals ``7g.80gb``.
"""

from __future__ import annotations

from collections.abc import Iterable

from migprov.mig.names import ProfileName, compute_instance_name
from migprov.mig.wanted import WantedCompute, WantedInstance


def pack(counts: Iterable[tuple[ProfileName, int]]) -> list[WantedInstance]:
    """The GPU instances that hold so many of each profile, in the order in which profiles first appear.

    Profiles that span their GPU instance get one each; the others share, first fit decreasing.
    """
    whole: dict[str, int] = {}
    parts: dict[str, list[int]] = {}
    slices: dict[str, int] = {}
    for name, count in counts:
        if count == 0:
            continue
        profile = name.gpu_instance
        slices[profile] = name.slices
        if name.spans_gpu_instance:
            whole[profile] = whole.get(profile, 0) + count
        else:
            parts.setdefault(profile, []).extend([name.compute_slices or name.slices] * count)
    packed: list[WantedInstance] = []
    for profile, size in slices.items():
        packed += [WantedInstance(profile)] * whole.get(profile, 0)
        shared = first_fit_decreasing(parts.get(profile, []), size)
        packed += [_holding(profile, size, computes) for computes in shared]
    return packed


def first_fit_decreasing(sizes: Iterable[int], capacity: int) -> list[list[int]]:
    """Bins of ``capacity`` slices that hold ``sizes``, largest first, each in the first with room."""
    bins: list[list[int]] = []
    for size in sorted(sizes, reverse=True):
        for bin_ in bins:
            if sum(bin_) + size <= capacity:
                bin_.append(size)
                break
        else:
            bins.append([size])
    return bins


def _holding(profile: str, slices: int, computes: list[int]) -> WantedInstance:
    names = (compute_instance_name(compute, slices, profile) for compute in computes)
    return WantedInstance(profile, None, tuple(WantedCompute(name) for name in names))
