"""A look at a node before anything is done: what it is, what draining it would mean, whether it may be done."""

from __future__ import annotations

from dataclasses import dataclass

from . import companions, names
from .client import Api, Json
from .drain import DrainOptions, plan_of
from .errors import Denied
from .manager import NAMESPACE
from .plan import Plan, Which
from .rights import missing
from .state import KubeNode, read


@dataclass(frozen=True)
class Look:
    """A node, and what draining it would do to its pods."""

    node: KubeNode
    plan: Plan

    def to_json(self) -> Json:
        """For plays: `kubernetes` is the node, the others are pods as namespace/name and sentences."""
        return {
            "kubernetes": self.node.to_json(),
            "evict": [pod.path for pod in self.plan.evict],
            "leaving": [pod.path for pod in self.plan.leaving],
            "stay": [{"pod": each.pod.path, "why": each.why} for each in self.plan.stay],
            "asks": [{"pod": each.pod.path, "why": each.why, "option": each.option} for each in self.plan.asks],
            "notes": list(self.plan.notes),
        }


def look(api: Api, name: str, which: Which = "gpu", *, rights: bool = False) -> Look:
    """Read the node and its pods; writes nothing. `rights`: raise Denied unless all may be done that a turn takes.

    Raises ApiFailed, NodeUnknown.
    """
    if rights:
        _allowed(api, name, None)
    node, pods = read(api, name), api.pods(name)
    if rights and node.manager:
        found = companions.placed_by(pods, [names.MANAGER])
        _allowed(api, name, found[0]["metadata"]["namespace"] if found else NAMESPACE)
    return Look(node, plan_of(pods, DrainOptions(which)))


def _allowed(api: Api, name: str, manager_namespace: str | None) -> None:
    lacking = missing(api, manager_namespace=manager_namespace)
    if lacking:
        raise Denied(
            f"the account may not do what rolling a node takes: {', '.join(lacking)}. Nothing was changed",
            host=name,
            next="give it the rights that docs/kubernetes.md lists.",
        )
