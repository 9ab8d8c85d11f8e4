"""Plans to render from, made by the planner."""

from __future__ import annotations

import json
from collections.abc import Sequence

from migprov.capacity.model import FleetCard, Workload
from migprov.capacity.plan_json import to_json
from migprov.capacity.planning import Options, of_cards
from migprov.render.plan_file import PlanFile, loads

GIB = 1024
VOICE = (
    Workload("language-model", 73 * GIB, headroom=0.0),
    Workload("Speech To Text", 10 * GIB, replicas=3, engines=frozenset(["decoder"])),
)


def cards(count: int = 2, product: str = "A100-80GB", host: str = "gpu1") -> list[FleetCard]:
    """Cards of one host, with MIG off."""
    return [FleetCard(host, index, product) for index in range(count)]


def plan_text(workloads: Sequence[Workload] = VOICE, fleet: Sequence[FleetCard] | None = None) -> str:
    """What `migprov plan --json` prints."""
    return json.dumps(to_json(of_cards(workloads, fleet or cards(), Options())))


def plan(workloads: Sequence[Workload] = VOICE, fleet: Sequence[FleetCard] | None = None) -> PlanFile:
    """It read again."""
    return loads(plan_text(workloads, fleet), "plan.json")
