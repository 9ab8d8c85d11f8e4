"""What Slurm is to know of a node's GPUs: its devices, and the value of `Gres=`. Pure.

Types are named as Slurm names MIG devices that it finds by itself: the card's name, an underscore, the profile. With
`AutoDetect=nvml` slurmd takes NVML's name in lower case with underscores, up to the first dash, and makes the profile
anew out of compute slices and memory in GiB, rounded (gpu_nvml.c); so a 3g.40gb of an A100 is `nvidia_a100_3g.39gb`
there. Slurm accepts a type that is a part of the one it finds. Lines of our own use the name that the driver gives the
profile: `a100_3g.40gb`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..fleet.slurm.devices import Device, Gres
from ..mig import geometry, names
from .errors import CannotRender, RenderError

_MIB_PER_GIB = 1024
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def explicit(gpus: Sequence[Mapping[str, Any]], *, type: str = "", dev: str = "/dev") -> Gres:
    """Each device with its files. `gpus` as in a state that was read with `caps`; `dev` is the folder of the files.

    `type` is what the cards are called; empty: their product's name up to the dash, such as `a100`.

    Raises:
        RenderError: a GPU does not answer, or the file of an instance is not known. CannotRender: no name of a type.
    """
    _check(type)
    devices: list[Device] = []
    for gpu in _answering(gpus):
        card = type or _product(gpu)
        own = f"{dev}/nvidia{gpu['minor']}"
        if not gpu["mig_current"]:
            devices.append(Device(card, (own,)))
            continue
        for gi, ci in _mig_devices(gpu):
            files = (own, *(f"{dev}/nvidia-caps/nvidia-cap{_minor(gpu, one)}" for one in (gi, ci)))
            devices.append(Device(f"{card}_{_spelled(ci['profile'])}", files))
    return Gres(tuple(devices))


def autodetect(gpus: Sequence[Mapping[str, Any]], *, type: str = "", profiles: Mapping[str, Any] | None = None) -> Gres:
    """The types that slurmd finds with `AutoDetect=nvml`.

    `profiles` are those of the task `info`, for the memory of each; where a GPU has none, the table of products counts.
    `type` replaces the card's name; it must be a part of it, or Slurm does not find the devices.

    Raises:
        RenderError: a GPU does not answer, or has MIG mode on and no MIG device: slurmd refuses to start then.
        CannotRender: no name of a type, or one that slurmd does not find.
    """
    _check(type)
    devices: list[Device] = []
    for gpu in _answering(gpus):
        detected = str(gpu["name"]).lower().replace(" ", "_")
        if not gpu["mig_current"]:
            devices.append(Device(_part_of(detected, type, detected), ()))
            continue
        found = list(_mig_devices(gpu))
        if not found:
            raise RenderError(
                f"GPU {gpu['index']} ({gpu['uuid']}) has MIG mode on and no MIG device; with AutoDetect=nvml slurmd "
                "does not start then; no file was changed",
                next="give the GPU instances or switch its MIG mode off, or name the devices (explicit).",
            )
        for gi, _ci in found:
            name = f"{names.parse(gi['profile']).slices}g.{_gib(gpu, gi, profiles)}gb"
            card = detected.split("-")[0]
            devices.append(Device(_part_of(f"{card}_{name}", f"{type or card}_{name}", card), ()))
    return Gres(tuple(devices), autodetect=True)


def _check(type: str) -> None:
    """In Slurm's files a space, a comma or a colon in a type would be the end of it."""
    if type and not _TYPE.fullmatch(type):
        raise CannotRender(
            f"{type!r} cannot be what Slurm calls cards: letters, digits, '-', '_' and '.'", next="give another name."
        )


def _part_of(detected: str, type: str, card: str) -> str:
    """The type, if Slurm takes it for what slurmd finds: it does when it is a part of that."""
    if type.lower() not in detected:
        raise CannotRender(
            f"with AutoDetect=nvml slurmd finds {detected}, and {type} is no part of that",
            next=f"take the end of {card}, or leave AutoDetect=nvml out.",
        )
    return type or detected


def _answering(gpus: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for gpu in gpus:
        if gpu.get("error"):
            raise RenderError(
                f"GPU {gpu['index']} does not answer ({gpu['error']['message']}), so nobody knows what Slurm is to "
                "hand out; no file was changed",
                next="see what is wrong with it (migprov info), then run the same again.",
            )
        yield gpu


def _mig_devices(gpu: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """GPU instance and compute instance of each; one without compute instances is no device."""
    return ((gi, ci) for gi in gpu["instances"] for ci in gi["compute_instances"])


def _minor(gpu: Mapping[str, Any], instance: Mapping[str, Any]) -> int:
    minor = instance.get("cap_minor")
    if not isinstance(minor, int):
        raise RenderError(
            f"GPU {gpu['index']} ({gpu['uuid']}): the device file of an instance ({instance['profile']}) is not known; "
            "no file was changed",
            next="see whether the node has /proc/driver/nvidia-caps/mig-minors, or use AutoDetect=nvml (autodetect).",
        )
    return minor


def _product(gpu: Mapping[str, Any]) -> str:
    """`a100` of A100-80GB, `rtx_pro_6000...` of NVIDIA RTX PRO 6000..."""
    name = str(gpu.get("product") or str(gpu["name"]).removeprefix("NVIDIA "))
    return name.split("-")[0].strip().lower().replace(" ", "_")


def _spelled(profile: str) -> str:
    # In the requests of users a plus would end the type.
    return profile.replace("+", ".").replace(",", ".")


def _gib(gpu: Mapping[str, Any], gi: Mapping[str, Any], profiles: Mapping[str, Any] | None) -> int:
    told = ((profiles or {}).get(str(gpu["index"])) or {}).get("profiles") or ()
    memory = next((one["memory_mib"] for one in told if one["profile_id"] == gi["profile_id"]), None)
    if memory is None:
        product = geometry.find(gpu["device_id"], gpu["name"])
        row = product.card.by_id(gi["profile_id"]) if product else None
        memory = row.memory_mib if row else None
    if memory is None:
        return names.parse(gi["profile"]).gb
    return int(memory / _MIB_PER_GIB + 0.5)
