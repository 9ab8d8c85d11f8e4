"""Give a node back: companions as they were, its resources awaited, uncordoned if migprov cordoned it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import companions, names
from .client import Api, Json
from .errors import ClusterError, PodsStay, ResourcesMissing
from .node import uncordon
from .outcome import Outcome
from .resources import STRATEGIES, Offer, differences, offer
from .state import KubeNode, read
from .waiting import Deadline

Gpus = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ResumeOptions:
    """How a node is resumed. `gpus`: what its GPUs are now (State of docs/architecture.md); None: resources are not
    awaited and no device plugin is started again.

    `strategy`: none, single, mixed; None: the node's label, or whichever of them fits. `plugin`: patterns for the
    device plugin's pod where the operator's labels do not place it.
    """

    gpus: Gpus | None = None
    strategy: str | None = None
    plugin: Sequence[str] = names.PLUGIN_PODS
    timeout_s: float = 300.0
    poll_s: float = 2.0


def resume(api: Api, name: str, options: ResumeOptions | None = None, *, check: bool = False) -> Outcome:
    """Give the node back, if migprov took it; a node that somebody else cordoned stays as it is.

    The node is uncordoned last: on failure it stays cordoned by migprov. Raises ClusterError: ResourcesMissing,
    PodsStay, ApiFailed, NodeUnknown.
    """
    return _Resume(api, name, options or ResumeOptions()).run(check=check)


@dataclass
class _Resume:
    api: Api
    name: str
    options: ResumeOptions
    steps: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self, *, check: bool) -> Outcome:
        """See `resume`."""
        before = read(self.api, self.name)
        if not _ours(before):
            return Outcome(self.name, check, False, before, before, (), self._foreign(before))
        if check:
            return self._predicted(before)
        deadline = Deadline(self.options.timeout_s, self.options.poll_s)
        try:
            if names.PAUSED in before.annotations:
                self.steps += _resume_steps(before)
                companions.unpause(self.api, self.name)
            if self.options.gpus is not None:
                self._served(before, self.options.gpus, deadline)
            after = uncordon(self.api, self.name)
        except ClusterError as error:
            error.tell(self.name, self._still())
            raise
        if before.by_migprov:
            self.steps.append({"action": "uncordon", "node": self.name})
        return Outcome(self.name, False, True, before, after, tuple(self.steps), tuple(self.notes))

    # --- the device plugin and what it offers ---------------------------------------------------------------------

    def _served(self, before: KubeNode, gpus: Gpus, deadline: Deadline) -> None:
        pods = companions.plugins(self.api.pods(self.name), self.options.plugin)
        placed = before.labels.get(names.DEVICE_PLUGIN) == "true" or names.DEVICE_PLUGIN in before.paused
        if not pods and not placed:
            self.notes.append("no device plugin was found on the node, so its resources were not awaited")
            return
        # What was paused starts anew anyhow, and NVIDIA's manager has started it anew itself.
        fresh = names.DEVICE_PLUGIN in before.paused or before.manager
        if not fresh:
            self._restart(pods)
        self._plugin_ready([] if fresh else [pod["metadata"]["uid"] for pod in pods], deadline)
        self._await(gpus, deadline)

    def _restart(self, pods: Sequence[Mapping[str, Any]]) -> None:
        for pod in pods:
            metadata = pod["metadata"]
            self.api.evict(metadata["namespace"], metadata["name"], metadata["uid"])
            self.steps.append({"action": "restart", "pod": companions.path(pod)})

    def _plugin_ready(self, old: Sequence[str], deadline: Deadline) -> None:
        found: list[Mapping[str, Any]] = []

        def look() -> bool | None:
            found[:] = companions.plugins(self.api.pods(self.name), self.options.plugin)
            fresh = [pod for pod in found if pod["metadata"]["uid"] not in old]
            return True if fresh and len(fresh) == len(found) and all(map(companions.ready, fresh)) else None

        if deadline.until(look) is None:
            pods = [companions.path(pod) for pod in found]
            raise PodsStay(
                f"the device plugin is not ready after {deadline.seconds:g} s ({', '.join(pods) or 'no pod of it'})",
                pods,
                host=self.name,
                next="look why (kubectl describe pod, kubectl logs), then resume the node again.",
            )

    def _await(self, gpus: Gpus, deadline: Deadline) -> None:
        wrong: list[str] = []

        def look() -> bool | None:
            node = read(self.api, self.name)
            wrong[:] = self._wrong(node, gpus)
            return None if wrong else True

        if deadline.until(look) is None:
            raise ResourcesMissing(
                f"the node does not offer what its GPUs are, after {deadline.seconds:g} s: {'; '.join(wrong)}",
                host=self.name,
                next="look at the device plugin on the node (kubectl logs), then resume the node again.",
            )

    def _wrong(self, node: KubeNode, gpus: Gpus) -> list[str]:
        """What is not offered as it should be. Raises ResourcesMissing where waiting cannot help."""
        strategy = self.options.strategy or node.strategy
        offers = [offer(gpus, one) for one in ([strategy] if strategy else STRATEGIES)]
        if strategy and offers[0].trouble:
            raise ResourcesMissing(
                f"with its MIG strategy {strategy} the node cannot offer these GPUs: {offers[0].trouble}",
                host=self.name,
                next="choose a layout that the strategy can offer, or another strategy for the device plugin.",
            )
        return min((self._against(one, node) for one in offers), key=len)

    def _against(self, wanted: Offer, node: KubeNode) -> list[str]:
        return [wanted.trouble] if wanted.trouble else differences(wanted.counts, node.allocatable, node.labels)

    # --- the ways out -------------------------------------------------------------------------------------------------

    def _foreign(self, node: KubeNode) -> tuple[str, ...]:
        return ("the node was cordoned, but not by migprov, and stays so",) if node.unschedulable else ()

    def _predicted(self, before: KubeNode) -> Outcome:
        self.steps += _resume_steps(before)
        after = before
        if before.by_migprov:
            self.steps.append({"action": "uncordon", "node": self.name})
            after = replace(before, unschedulable=False)
        return Outcome(self.name, True, bool(self.steps), before, after, tuple(self.steps))

    def _still(self) -> str:
        try:
            node = read(self.api, self.name)
        except ClusterError as error:
            return f"What became of the node is not known: {error.message}."
        return f"The node stays as it is ({node.reason})." if node.unschedulable else "The node is not cordoned."


def _ours(node: KubeNode) -> bool:
    noted = names.CORDONED in node.annotations or names.SINCE in node.annotations
    return names.PAUSED in node.annotations or (noted and not node.cordoned_anew)


def _resume_steps(node: KubeNode) -> list[Json]:
    return [{"action": "resume", "label": label, "value": value} for label, value in companions.restored(node).items()]
