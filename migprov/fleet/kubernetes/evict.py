"""Pods leave a node through the eviction API: asked first, then evicted, then waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .budgets import Budget, holding
from .client import PASSING, Api, Later
from .errors import ApiFailed, BudgetForbids, Conflict, Denied, PodsStay
from .plan import Pod
from .waiting import Deadline

TOO_MANY = 500
"""What the server answers where two budgets select one pod."""


class Eviction:
    """The pods of one node on their way out. `evicted` has those that the server let go, in order."""

    def __init__(self, api: Api, node: str, deadline: Deadline) -> None:
        self.api = api
        self.node = node
        self.deadline = deadline
        self.evicted: list[Pod] = []

    def leave(self, pods: Sequence[Pod]) -> None:
        """Evict them. None is evicted before the server would let every one of them go.

        So a budget that allows nothing costs no pod. Raises BudgetForbids at the deadline, and ApiFailed.
        """
        self._each(pods, self._ask)
        self._each(pods, self._evict)

    def blocked(self, pods: Sequence[Pod]) -> list[str]:
        """Which of them would not be let go at this moment, as sentences."""
        found = []
        for pod in pods:
            refusal = self._try(pod, self._ask)
            if refusal is not None:
                found.append(f"{pod.path} would have to wait: {self._why(pod, refusal)}")
        return found

    def wait_gone(self, pods: Sequence[Pod]) -> None:
        """Wait until each is gone: deleted for good, or another one of its name. Raises PodsStay."""
        left = list(pods)

        def look() -> bool | None:
            left[:] = [pod for pod in left if self._there(pod)]
            return None if left else True

        if self.deadline.until(look) is None:
            stays = "; ".join(self._slow(pod) for pod in left)
            raise PodsStay(
                f"still on the node after {self.deadline.seconds:g} s: {stays}",
                [pod.path for pod in left],
                host=self.node,
                next="look why they do not end (kubectl describe pod), or give more time, then run the same again.",
            )

    # --- each pod -------------------------------------------------------------------------------------------

    def _each(self, pods: Sequence[Pod], act: Callable[[Pod], None]) -> None:
        left = list(pods)
        while True:
            last = self.deadline.passed
            refusals = {pod.uid: refusal for pod in left if (refusal := self._try(pod, act)) is not None}
            left = [pod for pod in left if pod.uid in refusals]
            if not left:
                return
            if last:
                raise self._given_up(left, refusals)
            waits = [one.after_s for one in refusals.values() if isinstance(one, Later) and one.after_s]
            self.deadline.pause(max([self.deadline.poll_s, *waits]))

    def _try(self, pod: Pod, act: Callable[[Pod], None]) -> ApiFailed | None:
        """None: done, or the pod is gone. Otherwise why it has to wait."""
        try:
            act(pod)
        except Conflict:
            # The name is another pod's, or the pod was just written: looked at again.
            return None if not self._there(pod) else ApiFailed("the pod is being changed", status=409)
        except Denied:
            raise
        except ApiFailed as error:
            if error.status == 404:
                return None
            if error.status == TOO_MANY and len(self._budgets(pod)) > 1:
                raise self._forbidden([pod], error.message, "") from None
            if error.status not in PASSING:
                raise
            return error
        return None

    def _ask(self, pod: Pod) -> None:
        self.api.evict(pod.namespace, pod.name, pod.uid, dry_run=True)

    def _evict(self, pod: Pod) -> None:
        self.api.evict(pod.namespace, pod.name, pod.uid)
        self.evicted.append(pod)

    def _there(self, pod: Pod) -> bool:
        found = self.api.pod(pod.namespace, pod.name)
        if found is None or found["metadata"]["uid"] != pod.uid:
            return False
        return bool((found.get("spec") or {}).get("nodeName") == self.node)

    # --- words ----------------------------------------------------------------------------------------------

    def _given_up(self, left: Sequence[Pod], refusals: dict[str, ApiFailed]) -> ApiFailed | BudgetForbids:
        budgeted = [pod for pod in left if _by_budget(refusals[pod.uid])]
        if not budgeted:
            return refusals[left[0].uid]
        why = "; ".join(f"{pod.path}: {self._why(pod, refusals[pod.uid])}" for pod in budgeted)
        return self._forbidden(budgeted, why, f" within {self.deadline.seconds:g} s")

    def _forbidden(self, pods: Sequence[Pod], why: str, when: str) -> BudgetForbids:
        budgets = dict.fromkeys(budget.path for pod in pods for budget in self._budgets(pod))
        return BudgetForbids(
            f"pods may not be evicted{when}: {why}",
            list(budgets),
            host=self.node,
            next="let more of them run elsewhere or change the budget, then run the same again.",
        )

    def _why(self, pod: Pod, refusal: ApiFailed) -> str:
        if not _by_budget(refusal):
            return refusal.message
        budgets = self._budgets(pod)
        if not budgets:
            return "; ".join(refusal.budgets) if isinstance(refusal, Later) else refusal.message
        return "disruption budget " + ", ".join(map(str, budgets))

    def _budgets(self, pod: Pod) -> list[Budget]:
        """Those that select the pod; none where we may not look."""
        try:
            found = self.api.budgets(pod.namespace)
            return holding(found, pod.labels, empty_is_all=self.api.budgets_are_v1())
        except ApiFailed:
            return []

    def _slow(self, pod: Pod) -> str:
        found = self.api.pod(pod.namespace, pod.name) or {}
        metadata = found.get("metadata") or {}
        since, finalizers = metadata.get("deletionTimestamp"), metadata.get("finalizers")
        words = [f"leaving since {since}, {pod.grace_s} s grace"] if since else ["not leaving"]
        words += [f"held by {', '.join(finalizers)}"] if finalizers else []
        return f"{pod.path} ({'; '.join(words)})"


def _by_budget(refusal: ApiFailed) -> bool:
    return isinstance(refusal, Later) and bool(refusal.budgets)
