"""A plan as layouts that nodes can be brought to, and the order in which to do it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .model import Assignment, CardPlan, Plan, Workload


@dataclass(frozen=True)
class Layouts:
    """`configs` is `mig-configs` of a layout file: name -> entries; `of_host` says which one each host gets."""

    configs: Mapping[str, list[dict[str, Any]]]
    of_host: Mapping[str, str]


def layouts(plan: Plan, prefix: str = "plan") -> Layouts:
    """The layouts of the hosts that have something to do or to keep. Hosts that come out alike share one.

    A card that is in use or changes has its entry; one that is merely free is in none and so is left alone.
    """
    by_host: dict[str, list[CardPlan]] = defaultdict(list)
    for each in plan.cards:
        if each.card.held is None and (each.used or each.changes):
            by_host[each.card.host].append(each)
    names: dict[str, str] = {}
    configs: dict[str, list[dict[str, Any]]] = {}
    of_host: dict[str, str] = {}
    for host, cards in by_host.items():
        if not any(each.changes for each in cards):
            continue
        entries = _entries(cards)
        name = names.setdefault(repr(entries), f"{prefix}-{len(names) + 1}")
        configs.setdefault(name, entries)
        of_host[host] = name
    return Layouts(configs, of_host)


def _entries(cards: Sequence[CardPlan]) -> list[dict[str, Any]]:
    """One entry for all cards of a host that come out alike, in the order of their first card."""
    alike: dict[tuple[bool, tuple[tuple[str, int], ...]], list[int]] = defaultdict(list)
    for each in cards:
        counts = Counter(instance.profile for instance in each.instances)
        alike[each.mig, tuple(sorted(counts.items()))].append(each.card.index)
    entries = []
    for (mig, counted), indexes in alike.items():
        entry: dict[str, Any] = {"devices": indexes, "mig-enabled": mig}
        if mig:
            entry["mig-devices"] = dict(counted)
        entries.append(entry)
    return entries


def order(plan: Plan, workloads: Sequence[Workload]) -> list[str]:
    """The hosts that change, in an order in which new instances are there before the work that moves to them leaves.

    Where work changes places in a ring, the host that waits for the fewest others goes first, the fleet's order among
    equals.
    """
    changing = list(dict.fromkeys(each.card.host for each in plan.changed))
    waits: dict[str, set[str]] = {host: set() for host in changing}
    for source, assignment in moves(plan, workloads):
        if source in waits and assignment.host in waits and source != assignment.host:
            waits[source].add(assignment.host)
    ordered: list[str] = []
    while changing:
        host = min(changing, key=lambda each: len(waits[each]))
        changing.remove(host)
        ordered.append(host)
        for others in waits.values():
            others.discard(host)
    return ordered


def moves(plan: Plan, workloads: Sequence[Workload]) -> list[tuple[str, Assignment]]:
    """Every replica that has to move: the host it leaves, and where it goes."""
    found = []
    for workload in workloads:
        own = [each for each in plan.assignments if each.workload == workload.name]
        left = Counter(where.host for where in workload.runs_on)
        left.subtract(each.host for each in own if _stays(each, workload))
        leaving = [host for host, count in left.items() for _ in range(max(0, count))]
        found += list(zip(leaving, [each for each in own if each.moved], strict=False))
    return found


def _stays(assignment: Assignment, workload: Workload) -> bool:
    return not assignment.moved and assignment.replica < len(workload.runs_on)
