"""A node as the roll sees it: what is to change there, what it serves now, and what is missing meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...mig import steps as step
from ...mig.drain import AGENTS

WHOLE_GPU = "gpu"
"""What a GPU without MIG counts as, beside the profiles."""


@dataclass(frozen=True)
class Member:
    """One node of the fleet. `groups` are its inventory groups.

    `changes`: there is something to do. `instances`: GPU instances in service now, by profile, and GPUs without MIG as
    `gpu`. `loses`: which of them are out of service while the node changes. `out`: why the node serves nobody already,
    None when it does serve.
    """

    name: str
    groups: tuple[str, ...] = ()
    idle: bool = True
    changes: bool = True
    instances: Mapping[str, int] = field(default_factory=dict)
    loses: Mapping[str, int] = field(default_factory=dict)
    out: str | None = None


def of_look(
    name: str,
    groups: Iterable[str],
    look: Mapping[str, Any],
    *,
    whole_node: bool = False,
    to_resume: bool = False,
    out: str | None = None,
) -> Member:
    """A Member from what the task `layout` answers in check mode (`before`, `planned`).

    `whole_node`: a scheduler takes the whole node out of service for the change. `to_resume`: an earlier run took it
    out and has not given it back, which is something to do even where the layout is right.
    """
    gpus = (look.get("before") or {}).get("gpus") or []
    planned = look.get("planned") or []
    instances = _instances(gpus)
    loses = instances if whole_node else _lost(gpus, planned)
    return Member(
        name,
        tuple(groups),
        idle=not any(_is_work(process) for gpu in gpus for process in gpu.get("processes") or ()),
        changes=bool(planned) or to_resume,
        instances=dict(instances),
        loses=dict(loses) if planned else {},
        out=out,
    )


def _instances(gpus: Iterable[Mapping[str, Any]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for gpu in gpus:
        if gpu.get("error"):
            continue
        if gpu.get("mig_current"):
            counted.update(str(instance["profile"]) for instance in gpu.get("instances") or ())
        else:
            counted[WHOLE_GPU] += 1
    return counted


def _lost(gpus: Iterable[Mapping[str, Any]], planned: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """What the steps take away: an instance with its destruction, a GPU's all with its reset or its change of mode."""
    before = {gpu["uuid"]: gpu for gpu in gpus if gpu.get("uuid")}
    lost: Counter[str] = Counter()
    whole: set[str] = set()
    gone: set[tuple[str, int]] = set()
    for each in planned:
        uuid = each.get("uuid") or ""
        if each["action"] in (step.SET_MIG_MODE, step.RESET_GPU):
            whole.add(uuid)
        elif each["action"] == step.DESTROY_GPU_INSTANCE:
            gone.add((uuid, each["start"]))
        elif each["action"] == step.DESTROY_COMPUTE_INSTANCE:
            gone.add((uuid, each["gi_start"]))
    for uuid, gpu in before.items():
        if uuid in whole:
            lost += _instances([gpu])
        else:
            lost.update(str(i["profile"]) for i in gpu.get("instances") or () if (uuid, i["start"]) in gone)
    return lost


def _is_work(process: Mapping[str, Any]) -> bool:
    """Whether a process is somebody's work, and not a service that only watches."""
    return process.get("unit") not in AGENTS
