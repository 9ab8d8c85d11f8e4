"""Nodes as they answered `migprov info --json` -> cards, with who held them and what was in use at that moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..capacity.account import Card, Holder, Part, part
from ..capacity.model import WHOLE
from ..capacity.verdict import IDLE_MEMORY_MIB
from ..mig.drain import AGENTS
from .plain import maybe_text, whole

UNSEEN = "memory in use by nobody that was seen"


def cards(answers: Sequence[Mapping[str, Any]], price: float | None) -> tuple[list[Card], list[str]]:
    """The cards of these nodes, and notes. A card that did not answer is left out."""
    found, notes = [], []
    for answer in answers:
        host = str(answer["host"])
        for gpu in answer["after"]["gpus"]:
            if gpu.get("error"):
                notes.append(f"{host}/{gpu['index']} did not answer: {gpu['error'].get('message', '')}")
                continue
            found.append(_card(host, gpu, price))
            if _lost(gpu):
                notes.append(f"{host}/{gpu['index']}: on which instance some processes are was not told; ask as root")
    return found, notes


def _card(host: str, gpu: Mapping[str, Any], price: float | None) -> Card:
    mig = bool(gpu.get("mig_current"))
    product = str(gpu.get("product") or gpu.get("name") or "unknown")
    parts = _instances(product, gpu) if mig else [_whole(product, gpu)]
    return Card(
        host,
        int(gpu["index"]),
        product,
        whole(gpu.get("memory_mib")),
        mig,
        tuple(parts),
        maybe_text(gpu.get("uuid")) or "",
        price,
    )


def _whole(product: str, gpu: Mapping[str, Any]) -> Part:
    used = whole(gpu.get("memory_used_mib"))
    holders = [_holder(each) for each in _workers(gpu)]
    if not holders and (used or 0) > IDLE_MEMORY_MIB:
        # In another container than the driver's, it is not among those that compute.
        holders = [Holder(_name(each), None) for each in _open(gpu)] or [Holder(UNSEEN, used)]
    return part(product, WHOLE, None, holders, memory_mib=whole(gpu.get("memory_mib")), in_use_mib=used)


def _instances(product: str, gpu: Mapping[str, Any]) -> Iterable[Part]:
    # Whose instance is not known may be anybody's: none of them is free, and what is used of them is not known.
    anywhere = [Holder(_name(each), None) for each in _lost(gpu)]
    for instance in sorted(gpu["instances"], key=lambda each: int(each["start"])):
        own = [_holder(each) for each in _workers(gpu) if each.get("gi_id") == instance["gi_id"]]
        yield part(product, str(instance["profile"]), int(instance["start"]), [*own, *anywhere])


def _lost(gpu: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Processes on a cut card of which the instance is not known."""
    ids = {each["gi_id"] for each in gpu.get("instances", ())}
    return [each for each in _workers(gpu) if gpu.get("mig_current") and each.get("gi_id") not in ids]


def _workers(gpu: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that use the GPU. Who only has the driver open, such as a monitor, uses nothing of it."""
    return [each for each in _others(gpu) if each.get("kind") != "open"]


def _open(gpu: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in _others(gpu) if each.get("kind") == "open"]


def _others(gpu: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in gpu.get("processes", ()) if each.get("unit") not in AGENTS]


def _holder(process: Mapping[str, Any]) -> Holder:
    return Holder(_name(process), whole(process.get("memory_mib")))


def _name(process: Mapping[str, Any]) -> str:
    unit = process.get("unit")
    if unit:
        return str(unit).removesuffix(".service")
    command = str(process.get("command") or "unknown")
    return f"{command} ({process['user']})" if process.get("user") else command
