"""Which disruption budgets hold a pod. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Budget:
    """A disruption budget that selects a pod, with its status: how many may go, how many are well and must be."""

    path: str
    allowed: int
    healthy: int
    needed: int

    def __str__(self) -> str:
        return f"{self.path} (allows {self.allowed} disruptions: {self.healthy} healthy, {self.needed} needed)"


def holding(budgets: Sequence[Mapping[str, Any]], labels: Mapping[str, str], *, empty_is_all: bool) -> list[Budget]:
    """Those of a namespace's budgets that select a pod with these labels.

    `empty_is_all`: what an empty selector means, all pods (policy/v1) or none (policy/v1beta1).
    """
    return [
        _budget(one)
        for one in budgets
        if selects((one.get("spec") or {}).get("selector"), labels, empty_is_all=empty_is_all)
    ]


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str], *, empty_is_all: bool = True) -> bool:
    """Whether a label selector of the API selects an object with these labels. No selector selects nothing."""
    if selector is None:
        return False
    exact, rules = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not exact and not rules:
        return empty_is_all
    return all(labels.get(key) == value for key, value in exact.items()) and all(_fits(rule, labels) for rule in rules)


def _fits(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = rule["key"], rule.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(rule["operator"], False)


def _budget(budget: Mapping[str, Any]) -> Budget:
    metadata, status = budget["metadata"], budget.get("status") or {}
    return Budget(
        path=f"{metadata['namespace']}/{metadata['name']}",
        allowed=int(status.get("disruptionsAllowed") or 0),
        healthy=int(status.get("currentHealthy") or 0),
        needed=int(status.get("desiredHealthy") or 0),
    )
