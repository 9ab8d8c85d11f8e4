"""Take a node out of service: cordon, evict, pause what keeps its GPUs open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import companions
from .client import Api, Json
from .errors import ClusterError, NeedsLeave, PodsStay
from .evict import Eviction
from .node import cordon, uncordon
from .outcome import Outcome
from .plan import Asks, Plan, Pod, Which, plan, pod_from_json
from .state import KubeNode, read
from .waiting import Deadline

UNTOUCHED = "The node's GPUs were not touched"


@dataclass(frozen=True)
class DrainOptions:
    """How a node is drained. `which`: the pods that hold NVIDIA's resources, or all.

    `timeout_s` bounds all waiting together, in seconds. `delete_emptydir_data` and `force` give leave to evict pods
    whose local data go with them, and pods that nothing starts again. `labels` are those that place what is paused;
    none pauses nothing.
    """

    which: Which = "gpu"
    timeout_s: float = 300.0
    delete_emptydir_data: bool = False
    force: bool = False
    labels: Sequence[str] = companions.LABELS
    poll_s: float = 2.0


def drain(api: Api, name: str, change: str, options: DrainOptions | None = None, *, check: bool = False) -> Outcome:
    """Cordon the node for this change, evict its pods, pause NVIDIA's companions there.

    The last are left alone where NVIDIA's MIG manager runs, which pauses them itself. A failure gives the node back as
    it was, if this call cordoned it, and says so. `check`: write nothing.
    Raises ClusterError: NeedsLeave, BudgetForbids, PodsStay, ApiFailed, NodeUnknown.
    """
    return _Drain(api, name, change, options or DrainOptions()).run(check=check)


def plan_of(pods: Sequence[Mapping[str, Any]], options: DrainOptions) -> Plan:
    """The plan for a node's pods, as the API gives them."""
    return plan(
        map(pod_from_json, pods),
        options.which,
        delete_emptydir_data=options.delete_emptydir_data,
        force=options.force,
    )


@dataclass
class _Drain:
    api: Api
    name: str
    change: str
    options: DrainOptions
    cordoned: bool = False
    steps: list[Json] = field(default_factory=list)

    def run(self, *, check: bool) -> Outcome:
        """See `drain`."""
        before = read(self.api, self.name)
        found = self._plan()
        eviction = Eviction(self.api, self.name, Deadline(self.options.timeout_s, self.options.poll_s))
        if check:
            return self._predicted(before, found, eviction)
        after = before
        try:
            after, self.cordoned = cordon(self.api, self.name, self.change)
            if self.cordoned:
                self.steps.append({"action": "cordon", "node": self.name})
            found = self._empty(found, eviction)
            after = self._pause(after, eviction.deadline)
        except BaseException as error:
            words = self._give_back(before, eviction.evicted)
            if isinstance(error, ClusterError):
                error.tell(self.name, words)
            raise
        return Outcome(self.name, False, bool(self.steps), before, after, tuple(self.steps), found.notes)

    # --- pods ---------------------------------------------------------------------------------------------------

    def _plan(self) -> Plan:
        found = plan_of(self.api.pods(self.name), self.options)
        if found.asks:
            raise self._needs_leave(found.asks)
        return found

    def _needs_leave(self, asks: Sequence[Asks]) -> NeedsLeave:
        why = "; ".join(f"{ask.pod.path}: {ask.why}" for ask in asks)
        options = " and ".join(dict.fromkeys(f"{ask.option}: true" for ask in asks))
        return NeedsLeave(
            f"no pod was evicted, because some would lose what nobody brings back: {why}",
            asks,
            host=self.name,
            next=f"end them yourself, or give leave ({options}).",
        )

    def _empty(self, found: Plan, eviction: Eviction) -> Plan:
        """Pods may have come between the first look and the cordon, and some come past it: until none is left."""
        while True:
            found = self._plan()
            going = [*found.evict, *found.leaving]
            if not going:
                return found
            done = len(eviction.evicted)
            try:
                eviction.leave(found.evict)
            finally:
                self.steps += [_evict_step(pod) for pod in eviction.evicted[done:]]
            eviction.wait_gone(going)
            if eviction.deadline.passed and self._plan().evict:
                raise self._come_again()

    def _come_again(self) -> PodsStay:
        pods = [pod.path for pod in self._plan().evict]
        return PodsStay(
            f"pods keep coming to the node although it is cordoned: {', '.join(pods)}",
            pods,
            host=self.name,
            next="stop what binds them to this node, then run the same again.",
        )

    # --- companions -------------------------------------------------------------------------------------------------

    def _labels(self, node: KubeNode) -> Sequence[str]:
        # NVIDIA's manager pauses them itself.
        return () if node.manager else self.options.labels

    def _pause(self, node: KubeNode, deadline: Deadline) -> KubeNode:
        labels = self._labels(node)
        former = companions.pausable(node, labels)
        if former:
            node = companions.pause(self.api, self.name, labels)
            self.steps += [{"action": "pause", "label": label} for label in former]
        # Also after a run that died while it waited.
        companions.wait_gone(self.api, self.name, [one for one in node.paused if one in labels], deadline)
        return node

    # --- the ways out -------------------------------------------------------------------------------------------------

    def _predicted(self, before: KubeNode, found: Plan, eviction: Eviction) -> Outcome:
        if not before.unschedulable:
            self.steps.append({"action": "cordon", "node": self.name})
        self.steps += [_evict_step(pod) for pod in found.evict]
        self.steps += [
            {"action": "pause", "label": label} for label in companions.pausable(before, self._labels(before))
        ]
        after = replace(before, unschedulable=True)
        notes = (*found.notes, *eviction.blocked(found.evict))
        return Outcome(self.name, True, bool(self.steps), before, after, tuple(self.steps), notes)

    def _give_back(self, before: KubeNode, evicted: Sequence[Pod]) -> str:
        """Undo what this call did to the node, and say what there is."""
        gone = f" Evicted before: {', '.join(pod.path for pod in evicted)}." if evicted else ""
        if before.by_migprov:
            return f"The node stays cordoned ({before.reason}, since {before.since}). {UNTOUCHED} by this run.{gone}"
        try:
            now = read(self.api, self.name)
            # A write whose answer was lost counts too.
            if (now.by_migprov and now.change == self.change) or self.cordoned:
                companions.unpause(self.api, self.name)
                now = uncordon(self.api, self.name)
            elif set(now.paused) - set(before.paused):
                now = companions.unpause(self.api, self.name)
        except ClusterError as error:
            return (
                f"The node could not be given back ({error.message}): it may still be cordoned by migprov, and "
                f"resuming it gives it back. {UNTOUCHED}.{gone}"
            )
        state = "stays cordoned, which was not migprov's doing" if now.unschedulable else "is not cordoned"
        return f"The node {state}. {UNTOUCHED}.{gone}"


def _evict_step(pod: Pod) -> Json:
    return {"action": "evict", "pod": pod.path, "gpu": dict(pod.gpu)}
