"""Kubernetes lets go of a node and takes it back, through the official client.

with connect() as api:
    drain(api, "gpu-01", "MIG layout voice")
    ...
    resume(api, "gpu-01", ResumeOptions(gpus=state["gpus"]))
"""

from __future__ import annotations

from dataclasses import dataclass

from . import names
from .client import Api, connect
from .drain import DrainOptions, drain
from .errors import ClusterError
from .outcome import Outcome
from .resume import ResumeOptions, resume
from .state import KubeNode, from_json, read

__all__ = [
    "Api",
    "ClusterError",
    "Cordoned",
    "DrainOptions",
    "KubeNode",
    "Outcome",
    "ResumeOptions",
    "connect",
    "cordoned_by_migprov",
    "drain",
    "read",
    "resume",
]


@dataclass(frozen=True)
class Cordoned:
    """A node that migprov holds: the change it was cordoned for, and since when (UTC, ISO 8601).

    `change` is empty where only its companions are still paused.
    """

    node: str
    change: str
    since: str


def cordoned_by_migprov(api: Api) -> list[Cordoned]:
    """The nodes of the cluster that migprov has cordoned or whose companions it has paused, by name."""
    nodes = [from_json(node) for node in api.nodes()]
    held = [node for node in nodes if node.by_migprov or names.PAUSED in node.annotations]
    return sorted((Cordoned(node.name, node.change or "", node.since) for node in held), key=lambda one: one.node)
