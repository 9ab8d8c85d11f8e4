"""What keeps the GPUs of a node open or counts them: NVIDIA's device plugin, exporters, discovery."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from . import names
from .client import Api, Json
from .errors import PodsStay
from .node import edit
from .state import KubeNode
from .waiting import Deadline

LABELS = tuple(names.DEPLOY + component for component in names.COMPANIONS)


def pausable(node: KubeNode, labels: Sequence[str] = LABELS) -> dict[str, str]:
    """The labels of the node that place a companion there now, with their value."""
    return {label: node.labels[label] for label in labels if node.labels.get(label) == "true"}


def pause(api: Api, name: str, labels: Sequence[str] = LABELS) -> KubeNode:
    """Set these labels to NVIDIA's word for it, and keep what they were on the node, in one write."""

    def decide(node: KubeNode) -> Json | None:
        former = pausable(node, labels)
        if not former:
            return None
        kept = json.dumps({**node.paused, **former}, sort_keys=True)
        return {"metadata": {"labels": dict.fromkeys(former, names.PAUSE), "annotations": {names.PAUSED: kept}}}

    return edit(api, name, decide)


def unpause(api: Api, name: str, also: Json | None = None) -> KubeNode:
    """Give the labels back what they were, except those that somebody has changed meanwhile.

    `also`: other labels to be set in the same write.
    """

    def decide(node: KubeNode) -> Json | None:
        if names.PAUSED not in node.annotations and not also:
            return None
        labels = restored(node) | (also or {})
        return {"metadata": {"labels": labels, "annotations": {names.PAUSED: None}}}

    return edit(api, name, decide)


def restored(node: KubeNode) -> Json:
    """The labels to be given back, with their values."""
    return {label: value for label, value in node.paused.items() if node.labels.get(label) == names.PAUSE}


def placed_by(pods: Iterable[Mapping[str, Any]], labels: Iterable[str]) -> list[Mapping[str, Any]]:
    """The daemon sets' pods among these that such a label of the node places there."""
    wanted = set(labels)
    return [pod for pod in pods if _of_daemon_set(pod) and wanted & _chosen_by(pod.get("spec") or {})]


def wait_gone(api: Api, name: str, labels: Iterable[str], deadline: Deadline) -> None:
    """Wait until no pod is left that these labels placed on the node. Raises PodsStay."""
    wanted, left = set(labels), [""]

    def look() -> bool | None:
        left[:] = [path(pod) for pod in placed_by(api.pods(name), wanted)]
        return None if left else True

    if wanted and deadline.until(look) is None:
        raise PodsStay(
            f"{', '.join(left)} did not go within {deadline.seconds:g} s of being paused",
            left,
            host=name,
            next="look why (kubectl describe pod), then run the same again.",
        )


def plugins(pods: Iterable[Mapping[str, Any]], patterns: Sequence[str]) -> list[Mapping[str, Any]]:
    """The device plugin's pods among those of a node, by the patterns for it or by the operator's label."""
    return [
        pod
        for pod in pods
        if _of_daemon_set(pod)
        and (names.DEVICE_PLUGIN in _chosen_by(pod.get("spec") or {}) or any(_fits(pod, one) for one in patterns))
    ]


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod serves, and is not going."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    serves = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return serves and not pod["metadata"].get("deletionTimestamp")


def path(pod: Mapping[str, Any]) -> str:
    """namespace/name."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _of_daemon_set(pod: Mapping[str, Any]) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return any(owner["kind"] == "DaemonSet" and owner.get("controller") for owner in owners)


def _chosen_by(spec: Mapping[str, Any]) -> set[str]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
    rules = [rule["key"] for term in terms for rule in term.get("matchExpressions") or []]
    return {*(spec.get("nodeSelector") or {}), *rules}


def _fits(pod: Mapping[str, Any], pattern: str) -> bool:
    key, equals, value = pattern.partition("=")
    if equals:
        return bool(fnmatchcase((pod["metadata"].get("labels") or {}).get(key, ""), value))
    return fnmatchcase(path(pod), pattern) or fnmatchcase(pod["metadata"]["name"], pattern)
