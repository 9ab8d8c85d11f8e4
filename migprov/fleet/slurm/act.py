"""Draining and resuming: read, plan, do, read again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..commands import Commands
from .client import Client
from .errors import JobsStay, NoController, NotAsWritten, NotBack, SlurmError
from .outcome import Drained, Outcome
from .plan import DRAIN, REQUEUE, Jobs, Plan, Step, by_migprov, going, plan_drain, plan_resume
from .state import Job, Node, Reading

TIMEOUT_S = 3600.0
"""Seconds that jobs are given to end."""
SETTLE_S = 60.0
"""Seconds that slurmd is given to answer after a resume."""
_GIVE_BACK_S = 15.0
POLL_S = 5.0
"""Longest pause between two looks, in seconds; the first ones are shorter."""


def read(commands: Commands, node: str) -> Reading:
    """The node and the jobs on it. Raises SlurmError."""
    return Client(commands, node).read()


def drained_by_migprov(commands: Commands) -> list[Drained]:
    """Every node of the cluster that migprov drained and has not given back. Raises SlurmError."""
    found = Client(commands, "").nodes()
    return [Drained(node.name, node.reason, node.reason_at) for node in found if by_migprov(node)]


def drain(
    commands: Commands,
    node: str,
    change: str,
    jobs: Jobs = "wait",
    timeout_s: float = TIMEOUT_S,
    *,
    check: bool = False,
    poll_s: float = POLL_S,
) -> Outcome:
    """Let no new job start on `node`, for `change`, and wait until nothing runs there, `timeout_s` seconds at most.

    With `jobs="requeue"` jobs are put back into the queue first; one that Slurm does not requeue is waited for. No job
    is ever cancelled. `check` tells what would be done, and neither writes nor waits.

    Raises:
        JobsStay: jobs were still there when the time was up. A node that this call drained is in service again.
        OutOfService: the node is down and nobody drained it, or Slurm is about to reboot it.
        SlurmError: its kin say what else; also when somebody resumed the node meanwhile.
    """
    client = Client(commands, node)
    before = client.read()
    plan = plan_drain(before, change, jobs)
    if check:
        return Outcome(before.node, _predicted(before.node, plan), plan.steps, before.jobs, note=plan.note, check=True)
    draining = [step for step in plan.steps if step.action == DRAIN]
    for step in draining:
        client.drain(step.reason)
        client.left = f"the node stays drained ({step.reason})."
        _assert_drained(client.node(), step)
    taken = bool(draining) and not before.node.drained
    waiting = _Waiting(client, plan, taken, timeout_s, poll_s)
    if not plan.note and jobs == "requeue":
        waiting.requeue()
    after = waiting.until_empty()
    done = (*draining, *waiting.steps, *(s for s in plan.steps if s.action not in (DRAIN, REQUEUE)))
    return Outcome(before.node, after.node, done, after.jobs, tuple(waiting.requeued), plan.note)


def resume(commands: Commands, node: str, *, check: bool = False, settle_s: float = SETTLE_S) -> Outcome:
    """Give `node` back to Slurm if migprov drained it, and wait until jobs can start there, `settle_s` seconds at most.

    A node that is in service, or that somebody else drained, is left as it is.

    Raises:
        NotBack: its slurmd does not answer, Slurm is about to reboot it, or keeps it out of service all the same.
        SlurmError: its kin say what else.
    """
    client = Client(commands, node)
    before = client.read()
    plan = plan_resume(before)
    if check or not plan.steps:
        after = _resumed(before.node) if plan.steps else before.node
        return Outcome(before.node, after, plan.steps, before.jobs, note=plan.note, check=check)
    ready = _look_until(client, lambda found: found.responding, settle_s)
    if not ready.responding:
        raise NotBack(
            f"its slurmd does not answer ({ready.text}), so it was not resumed: it stays drained ({ready.reason}).",
            host=node,
            next="start slurmd on the node, see its log for why it ended, then run the same again.",
        )
    if by_migprov(ready):  # somebody may have been quicker
        client.resume()
        client.left = "it was told to resume."
    after = _look_until(client, lambda found: found.in_service, settle_s)
    if not after.in_service:
        raise NotBack(
            f"Slurm was told to resume it and keeps it out of service: {after.text}"
            f"{f' ({after.reason})' if after.reason else ''}.",
            host=node,
            next="see slurmd's and slurmctld's logs; a gres count other than that of slurm.conf is a common cause.",
        )
    return Outcome(before.node, after, plan.steps, before.jobs)


class _Waiting:
    """The jobs of a drained node, until they are gone or the time is up."""

    def __init__(self, client: Client, plan: Plan, taken: bool, timeout_s: float, poll_s: float) -> None:
        self._client = client
        self._plan = plan
        self._taken = taken
        self._timeout_s = timeout_s
        self._until = time.monotonic() + timeout_s
        self._poll_s = poll_s
        self.requeued: list[str] = []
        self.steps: list[Step] = []
        self._kept: list[str] = []

    def requeue(self) -> None:
        """Put every job that is there now back into the queue."""
        for job in self._client.jobs():
            refused = self._client.requeue(job)
            if refused:
                self._kept.append(f"job {job.id} is not requeued: {refused}")
                continue
            self.requeued.append(job.id)
            self.steps.append(Step(REQUEUE, self._client.node_name, job=job))

    def until_empty(self) -> Reading:
        """Look until no job has the node. Raises JobsStay, SlurmError."""
        pause = min(0.5, self._poll_s)
        while True:
            try:
                found = self._look()
            except NoController:  # slurmctld may be restarted for another node meanwhile
                if time.monotonic() >= self._until:
                    raise
                found = None
            if found is not None and not found.jobs and not found.node.busy:
                return found
            left = self._until - time.monotonic()
            if found is not None and left <= 0:
                raise self._late(found.jobs)
            time.sleep(max(min(pause, left), 0.05))
            pause = min(pause * 2, self._poll_s)

    def _look(self) -> Reading:
        node = self._client.node()
        if not node.drained:
            raise SlurmError(
                f"somebody put it back into service while migprov waited for its jobs ({node.text}). Nothing was "
                "changed on the node.",
                host=node.name,
                next="find out who needs it, then run the same again.",
            )
        if node.going:
            raise going(node, f"It stays drained ({node.reason}); nothing was changed on the node.")
        return Reading(node, self._client.jobs())

    def _late(self, jobs: tuple[Job, ...]) -> JobsStay:
        named = "; ".join(job.label for job in jobs) or "what is left of jobs"
        kept = f" {'. '.join(self._kept)}." if self._kept else ""
        return JobsStay(
            f"after {self._timeout_s:g} s there is still work on it: {named}.{kept} {self._given_back()} Nothing was "
            "changed on the node.",
            jobs=jobs,
            host=self._client.node_name,
            next="give the jobs more time (gpu_drain_slurm_timeout), let them be requeued (gpu_drain_slurm_jobs: "
            "requeue), or run it again when they have ended.",
        )

    def _given_back(self) -> str:
        """Give back what this call took; how that went."""
        if not self._taken:
            return f"{self._plan.note.capitalize()}." if self._plan.note else "It stays drained, as it was found."
        try:
            self._client.resume()
            node = _look_until(self._client, lambda found: found.in_service, _GIVE_BACK_S)
        except SlurmError as error:
            return f"It could not be given back to Slurm ({error.message})."
        return "It is in service again." if node.in_service else f"It was given back to Slurm and is {node.text}."


def _assert_drained(node: Node, step: Step) -> None:
    if node.drained and node.reason == step.reason:
        return
    raise NotAsWritten(
        f"Slurm took the drain and, read again, the node is {node.text} with the reason {node.reason!r} instead of "
        f"{step.reason!r}. Nothing was changed on the node.",
        host=node.name,
        next=f"see who else changes it (scontrol show node {node.name}), then run the same again.",
    )


def _look_until(client: Client, good: Callable[[Node], bool], limit_s: float) -> Node:
    """The node once `good` is true of it, or as it is after `limit_s` seconds."""
    until = time.monotonic() + limit_s
    pause = 0.2
    while True:
        try:
            node = client.node()
            if good(node) or time.monotonic() >= until:
                return node
        except NoController:
            if time.monotonic() >= until:
                raise
        time.sleep(pause)
        pause = min(pause * 1.5, 2.0)


def _predicted(node: Node, plan: Plan) -> Node:
    for step in plan.steps:
        if step.action == DRAIN:
            return replace(node, flags=node.flags | {"DRAIN"}, reason=step.reason, reason_by="", reason_at="")
    return node


def _resumed(node: Node) -> Node:
    return replace(node, flags=node.flags - {"DRAIN", "FAIL"}, reason="", reason_by="", reason_at="")
