"""A node as the cluster knows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import names
from .client import Api, Json
from .errors import NodeUnknown


@dataclass(frozen=True)
class KubeNode:
    """What migprov looks at. `allocatable` holds NVIDIA's resources alone, by their whole name."""

    name: str
    version: str
    unschedulable: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    allocatable: Mapping[str, int]
    cordoned_anew: bool = False
    """Somebody else uncordoned the node after migprov's cordon, and it was cordoned again by then."""

    @property
    def change(self) -> str | None:
        """The change for which migprov cordoned the node; None where it did not."""
        return self.annotations.get(names.CORDONED) if self.unschedulable and not self.cordoned_anew else None

    @property
    def by_migprov(self) -> bool:
        """Whether the node is cordoned, by migprov."""
        return self.change is not None

    @property
    def since(self) -> str:
        """When migprov cordoned it (UTC, ISO 8601), or nothing."""
        return self.annotations.get(names.SINCE, "")

    @property
    def reason(self) -> str:
        """Why the node is cordoned, for people; empty where it is not."""
        if not self.unschedulable:
            return ""
        return f"migprov: {self.change}" if self.by_migprov else "cordoned, not by migprov"

    @property
    def manager(self) -> bool:
        """Whether NVIDIA's MIG manager runs on the node, or is only paused."""
        value = self.labels.get(names.MANAGER, "")
        return value == "true" or value.startswith("paused")

    @property
    def strategy(self) -> str | None:
        """How MIG devices become resources, `none`, `single` or `mixed`; None where no label says so."""
        return self.labels.get(names.STRATEGY)

    @property
    def paused(self) -> dict[str, str]:
        """The labels that migprov has paused, with the values they had."""
        try:
            found = json.loads(self.annotations.get(names.PAUSED, "{}"))
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def to_json(self) -> Json:
        """For people and plays."""
        return {
            "name": self.name,
            "cordoned": self.unschedulable,
            "by_migprov": self.by_migprov,
            "reason": self.reason,
            "since": self.since if self.by_migprov else "",
            "manager": self.manager,
            "mig_config": self.labels.get(names.CONFIG, ""),
            "mig_config_state": self.labels.get(names.CONFIG_STATE, ""),
            "mig_strategy": self.strategy or "",
            "paused": self.paused,
            "resources": dict(self.allocatable),
        }


def from_json(node: Mapping[str, Any]) -> KubeNode:
    """A node of the API."""
    metadata, status = node["metadata"], node.get("status") or {}
    return KubeNode(
        name=metadata["name"],
        version=metadata.get("resourceVersion", ""),
        unschedulable=bool((node.get("spec") or {}).get("unschedulable")),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        allocatable=held(status.get("allocatable") or {}),
        cordoned_anew=_cordoned_anew(metadata.get("managedFields") or []),
    )


def _cordoned_anew(written: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the cordon is by another writer than migprov's note of it, which migprov writes together with its own.

    An uncordon by hand leaves the note behind. Where the server does not keep who wrote which field, nobody can tell.
    """
    fields = [entry.get("fieldsV1") or {} for entry in written]
    cordons = [one for one in fields if "f:unschedulable" in (one.get("f:spec") or {})]
    return bool(cordons) and not any(_notes_cordon(one) for one in cordons) and any(map(_notes_cordon, fields))


def _notes_cordon(fields: Mapping[str, Any]) -> bool:
    return f"f:{names.CORDONED}" in ((fields.get("f:metadata") or {}).get("f:annotations") or {})


def read(api: Api, name: str) -> KubeNode:
    """The node. Raises NodeUnknown."""
    found = api.node(name)
    if found is None:
        raise NodeUnknown(
            f"the cluster {api.server} has no node {name}. Nothing was changed",
            host=name,
            next="name it as `kubectl get nodes` does (gpu_drain_kubernetes_node), or check kubeconfig and context.",
        )
    return from_json(found)


def held(resources: Mapping[str, Any]) -> dict[str, int]:
    """NVIDIA's resources among these, those of count 0 too. Extended resources are whole numbers."""
    return {name: _count(value) for name, value in resources.items() if name.startswith(names.RESOURCE)}


def _count(quantity: Any) -> int:
    # Extended resources are integers, for which Kubernetes also writes 1k.
    text = str(quantity)
    unit = {"k": 1000, "M": 1000_000}.get(text[-1:], 1)
    digits = text.rstrip("kM")
    return int(digits) * unit if digits.isdecimal() else 0
