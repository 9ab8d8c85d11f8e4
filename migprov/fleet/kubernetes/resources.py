"""What a node offers once its GPUs are as they are: State -> resources. Pure.

After NVIDIA's k8s-device-plugin: strategy `none` counts GPUs; `single` counts MIG devices, which must all be of one
kind, as GPUs; `mixed` names each kind of MIG device. A GPU in MIG mode without a MIG device stops the plugin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import names

GPU = names.RESOURCE + "gpu"
STRATEGIES = ("none", "single", "mixed")


@dataclass(frozen=True)
class Offer:
    """Either the `counts` by resource, those that are not 0, or the `trouble` why there are none."""

    counts: Mapping[str, int]
    trouble: str = ""


def offer(gpus: Sequence[Mapping[str, Any]], strategy: str) -> Offer:
    """What the device plugin offers for these GPUs (as in the State of docs/architecture.md)."""
    good = [gpu for gpu in gpus if not gpu.get("error")]
    if strategy == "none":
        return Offer(_counted([GPU] * len(good)))
    cut = [gpu for gpu in good if gpu["mig_current"]]
    empty = [gpu for gpu in cut if not devices(gpu)]
    if empty:
        return Offer({}, f"GPU {empty[0]['index']} is in MIG mode without a MIG device, which stops the device plugin")
    if strategy == "single":
        return _single(good, cut)
    whole = [GPU] * (len(good) - len(cut))
    return Offer(_counted(whole + [resource(profile) for gpu in cut for profile in devices(gpu)]))


def _single(good: Sequence[Mapping[str, Any]], cut: Sequence[Mapping[str, Any]]) -> Offer:
    if not cut:
        return Offer(_counted([GPU] * len(good)))
    if len(cut) < len(good):
        return Offer({}, "the strategy single wants MIG mode on all GPUs of a node or on none")
    found = [profile for gpu in cut for profile in devices(gpu)]
    if len(set(found)) > 1:
        return Offer(
            {}, f"the strategy single wants MIG devices of one kind, these are {', '.join(sorted(set(found)))}"
        )
    return Offer(_counted([GPU] * len(found)))


def devices(gpu: Mapping[str, Any]) -> list[str]:
    """The profiles of a GPU's MIG devices, one for each compute instance."""
    return [
        ci["profile"]
        for instance in gpu["instances"]
        for ci in instance["compute_instances"]
    ]  # fmt: skip


def resource(profile: str) -> str:
    """What a MIG device of this profile is called with the strategy mixed: `nvidia.com/mig-1g.10gb.me` (1g.10gb+me)."""
    return names.RESOURCE + "mig-" + profile.replace("+", ".")


def _counted(resources: Sequence[str]) -> dict[str, int]:
    return dict(Counter(resources))


def differences(wanted: Mapping[str, int], allocatable: Mapping[str, int], labels: Mapping[str, str]) -> list[str]:
    """How what a node offers differs from what it is to offer, as sentences; empty when it is so.

    A resource that is shared (time slices, MPS) counts `replicas` times, under its own name or with `.shared`.
    """
    found: list[str] = []
    for name in sorted({*wanted, *(key.removesuffix(".shared") for key in allocatable if _is_ours(key))}):
        want, shared = wanted.get(name, 0), allocatable.get(f"{name}.shared", 0)
        have = allocatable.get(name, 0) + shared
        if have != want and not _replicated(name, want, have, labels, shared=shared):
            found.append(f"{name}: {want} wanted, {have} there")
    return found


def _replicated(name: str, want: int, have: int, labels: Mapping[str, str], *, shared: int) -> bool:
    replicas = labels.get(f"{name}.replicas", "")
    if want and replicas.isdecimal() and have == want * int(replicas):
        return True
    return bool(want and shared and have % want == 0)


def _is_ours(name: str) -> bool:
    plain = name.removesuffix(".shared")
    return plain == GPU or plain.startswith(names.RESOURCE + "mig-")
