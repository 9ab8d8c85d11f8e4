"""Cordon and uncordon, and every other write to a node: only on what was read, again where somebody was quicker."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from . import names
from .client import PASSING, Api, Json
from .errors import ApiFailed, Conflict
from .state import KubeNode, from_json, read

TRIES = 12
PAUSE_S = 0.25
"""Between two tries; kubelets write their nodes' status often."""

Decide = Callable[[KubeNode], Json | None]


def edit(api: Api, name: str, decide: Decide) -> KubeNode:
    """Write what `decide` makes of the node, a patch or None for nothing, to exactly the node that it was shown.

    Somebody else's write in between is noticed: the node is read and decided anew. Raises ApiFailed.
    """
    for attempt in range(TRIES):
        node = read(api, name)
        patch = decide(node)
        if patch is None:
            return node
        metadata = {**patch.get("metadata", {}), "resourceVersion": node.version}
        try:
            return from_json(api.patch_node(name, {**patch, "metadata": metadata}))
        except ApiFailed as error:
            # Without an answer it may have been done or not: decided anew, like after somebody else's write.
            passes = isinstance(error, Conflict) or error.status in PASSING
            if not passes or attempt == TRIES - 1:
                raise
            time.sleep(PAUSE_S * (attempt + 1))
    raise AssertionError("not reached")


def cordon(api: Api, name: str, change: str) -> tuple[KubeNode, bool]:
    """Cordon the node for this change, unless it is cordoned. Returns it, and whether this call cordoned it."""
    # To the microsecond, so that it also tells this call's cordon from that of another.
    since = datetime.now(UTC).isoformat()

    def decide(node: KubeNode) -> Json | None:
        if node.unschedulable:
            return None
        annotations = {names.CORDONED: change, names.SINCE: since}
        return {"metadata": {"annotations": annotations}, "spec": {"unschedulable": True}}

    node = edit(api, name, decide)
    return node, node.by_migprov and node.since == since


def uncordon(api: Api, name: str) -> KubeNode:
    """Uncordon the node if migprov cordoned it. Somebody else's cordon stays."""

    def decide(node: KubeNode) -> Json | None:
        if names.CORDONED not in node.annotations and names.SINCE not in node.annotations:
            return None
        patch: Json = {"metadata": {"annotations": {names.CORDONED: None, names.SINCE: None}}}
        return patch if node.cordoned_anew else {**patch, "spec": {"unschedulable": None}}

    return edit(api, name, decide)
