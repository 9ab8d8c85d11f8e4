"""Which nodes of an inventory migprov took from their scheduler and has not given back: asked, not remembered.

Asked through the roles `gpu_drain_*`, so that whatever the inventory says about schedulers and connections counts.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import playbook

_SCHEDULER = "mig_layout_scheduler"
_PLAY: list[dict[str, Any]] = [
    {
        "name": "Ask who is drained",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Ask the scheduler",
                "ansible.builtin.include_role": {
                    "name": "migprov.gpu.gpu_drain_{{ mig_layout_scheduler }}",
                    "tasks_from": "preflight",
                },
            }
        ],
    }
]


@dataclass(frozen=True)
class Drained:
    """A node that migprov keeps from its scheduler. `host`: in the inventory; `node`: in the scheduler."""

    host: str
    node: str
    scheduler: str
    reason: str


def drained_by_migprov(inventory: Sequence[str], limit: str | None = None) -> tuple[list[Drained], list[str]]:
    """The drained nodes, and what kept others from being asked. Changes nothing.

    Raises:
        BadRequest: the inventory cannot be used.
        PlaybookFailed: ansible-playbook could not be run to its end.
    """
    from ..inventory import open_inventory

    read = open_inventory(inventory, limit)
    hosts = tuple(
        host for host in read.names() if read.variable(host, "mig_layout_scheduler") not in (None, "", "none")
    )
    if not hosts:
        return [], []
    job = playbook.Job(_PLAY, tuple(inventory), os.getcwd(), hosts=hosts)
    with tempfile.TemporaryDirectory(prefix="migprov-status-") as folder:
        return of_events(hosts, playbook.run(job, Path(folder) / "runner"))


def of_events(hosts: Sequence[str], events: Iterable[Mapping[str, Any]]) -> tuple[list[Drained], list[str]]:
    """The same out of the events of the play; a node that gave no answer is a problem."""
    facts: dict[str, Mapping[str, Any]] = {}
    problems: dict[str, str] = {}
    for event in events:
        if event["event"] != "result":
            continue
        if "gpu_drain_node" in event["res"]:
            facts[event["host"]] = event["res"]["gpu_drain_node"]
        elif event["status"] in ("failed", "unreachable") and not event["ignored"]:
            problems.setdefault(event["host"], str(event["res"].get("msg")))
    silent = [host for host in hosts if host not in facts]
    return (
        [_drained(host, facts[host]) for host in hosts if host in facts and facts[host].get("by_migprov")],
        [f"{host}: {problems.get(host, 'its scheduler was not asked')}" for host in silent],
    )


def _drained(host: str, fact: Mapping[str, Any]) -> Drained:
    return Drained(host, str(fact.get("node") or host), str(fact.get("scheduler")), str(fact.get("reason") or ""))
