"""The present state of nodes as a layout file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from migprov.errors import BadRequest
from migprov.mig.names import parse

from .document import resolve
from .packing import pack
from .yaml_text import is_text

State = Mapping[str, Any]
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def export(state: State, name: str = "current", *, compatible: bool = False) -> str:
    """The layout file of one node, from its state (docs/architecture.md), under the name ``name``.

    Placements are kept, and compute instances where they are not the default, so that the file brings back
    exactly this. With ``compatible`` the file has counts only, as mig-parted reads them; BadRequest when counts
    cannot say it. A GPU without MIG, or one that does not answer, is left out with a comment; BadRequest when
    none is left.
    """
    return export_many({name: state}, compatible=compatible)


def export_many(states: Mapping[str, State], *, compatible: bool = False) -> str:
    """One file with a layout for each node, named after it; see ``export``."""
    lines: list[str] = ["version: v1", "mig-configs:"]
    empty: list[str] = []
    for name, state in states.items():
        try:
            entries = _entries(state["gpus"], compatible)
        except BadRequest as error:
            raise BadRequest(f"{name}: {error.message}", next=error.next) from None
        notes = [f"  # {note}" for note in _notes(state["gpus"])]
        if entries:
            lines += [*notes, f"  {_key(name)}:", *entries]
        else:
            lines += [f"  # {_key(name)} is left out: it has no GPU with MIG that answers", *notes]
            empty.append(name)
    if len(empty) == len(states):
        names = ", ".join(empty) or "no node"
        raise BadRequest(f"{names}: there is no GPU with MIG whose layout could be exported.")
    return "\n".join(lines) + "\n"


def _notes(gpus: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    for gpu in gpus:
        note = f"GPU {gpu['index']}: {gpu.get('name') or 'unknown'}, {gpu.get('uuid') or 'no UUID'}"
        if gpu.get("error"):
            note += f"; left out: {gpu['error']['message']}"
        elif not gpu["mig_capable"]:
            note += "; left out: it has no MIG"
        elif gpu["mig_pending"] != gpu["mig_current"]:
            note += f"; MIG mode {'enabled' if gpu['mig_pending'] else 'disabled'} is pending a reset"
        notes.append(" ".join(note.split()))
    return notes


def _entries(gpus: Sequence[Mapping[str, Any]], compatible: bool) -> list[str]:
    """The entries of a node: GPUs that are cut alike share one."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for gpu in gpus:
        if not gpu.get("error") and gpu["mig_capable"]:
            alike.setdefault(tuple(_cut(gpu, compatible)), []).append(gpu["index"])
    lines = []
    for cut, indices in alike.items():
        lines += [f"    - devices: {json.dumps(indices)}", *(f"      {line}" for line in cut)]
    return lines


def _cut(gpu: Mapping[str, Any], compatible: bool) -> list[str]:
    if not gpu["mig_current"]:
        return ["mig-enabled: false"]
    instances = sorted(gpu["instances"], key=lambda gi: gi["start"])
    if not instances:
        return ["mig-enabled: true", "mig-devices: {}"]
    body = _counts(gpu, instances) if compatible else [_instance(gi) for gi in instances]
    return ["mig-enabled: true", "mig-devices:", *(f"  {line}" for line in body)]


def _instance(gi: Mapping[str, Any]) -> str:
    fields = [f"profile: {gi['profile']}", f"start: {gi['start']}"]
    computes = sorted(gi["compute_instances"], key=lambda ci: (ci["start"] is None, ci["start"]))
    if not _is_default(gi):
        inner = ", ".join(_compute(ci) for ci in computes)
        fields.append(f"compute-instances: [{inner}]")
    return f"- {{{', '.join(fields)}}}"


def _compute(ci: Mapping[str, Any]) -> str:
    if ci["start"] is None:
        return str(ci["profile"])
    return f"{{profile: {ci['profile']}, start: {ci['start']}}}"


def _is_default(gi: Mapping[str, Any]) -> bool:
    """One compute instance that spans the GPU instance."""
    computes = gi["compute_instances"]
    return len(computes) == 1 and parse(computes[0]["profile"]).spans_gpu_instance


def _counts(gpu: Mapping[str, Any], instances: Sequence[Mapping[str, Any]]) -> list[str]:
    counts: Counter[str] = Counter()
    wanted: list[tuple[str, tuple[str, ...]]] = []
    for gi in instances:
        inside = sorted(parse(ci["profile"]).canonical for ci in gi["compute_instances"])
        counts.update(inside)
        wanted.append((gi["profile"], tuple(inside)))
    read_back = [
        (instance.profile, tuple(sorted(ci.profile for ci in instance.compute_instances or [instance])))
        for instance in pack((parse(name), count) for name, count in counts.items())
    ]
    if Counter(read_back) != Counter(wanted):
        raise BadRequest(
            f"GPU {gpu['index']}: counts cannot say how its compute instances share GPU instances.",
            next="export without compatible",
        )
    return [f"{json.dumps(name)}: {count}" for name, count in counts.items()]


def _key(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name) and is_text(name) and isinstance(resolve(name), str):
        return name
    return str(yaml.safe_dump(name, default_style='"', width=1 << 20)).strip()
