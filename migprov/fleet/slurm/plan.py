"""What has to be done so that a node is let go of, or is back. Pure: a reading in, steps out.

A node is migprov's when its reason begins with `PREFIX`: that is in Slurm's own state, so it is true whatever became
of whoever drained it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .errors import NotBack, OutOfService
from .state import Job, Node, Reading

PREFIX = "migprov: "
DRAIN, REQUEUE, WAIT, RESUME = "drain_node", "requeue_job", "wait_for_job", "resume_node"
_LONGEST = 200

Jobs = Literal["wait", "requeue"]
"""What happens to jobs on the node: they are waited for, or put back into the queue to start elsewhere."""


@dataclass(frozen=True)
class Step:
    """One step: `job` for those about a job, `reason` for `drain_node`."""

    action: str
    node: str
    reason: str = ""
    job: Job | None = None

    def to_json(self) -> dict[str, Any]:
        about: dict[str, Any] = {"reason": self.reason} if self.reason else {}
        if self.job:
            about = {"job": self.job.id, "user": self.job.user, "name": self.job.name}
        return {"action": self.action, "node": self.node, **about}


@dataclass(frozen=True)
class Plan:
    """The steps, and what is worth saying of a node that is not migprov's."""

    steps: tuple[Step, ...] = ()
    note: str = ""


def reason_for(change: str) -> str:
    """The reason that names the change: one line, without quotation marks at its ends, which scontrol takes off."""
    words = "".join(char if char.isprintable() else " " for char in change)
    return PREFIX + (" ".join(words.split()).strip("\"'")[:_LONGEST] or "a change of the MIG layout")


def by_migprov(node: Node) -> bool:
    """Whether the node is drained, and migprov drained it."""
    return node.drained and node.reason.startswith(PREFIX)


def plan_drain(found: Reading, change: str, jobs: Jobs) -> Plan:
    """Let go of the node. A node that somebody else drained gets no step but the wait for its jobs.

    Raises:
        OutOfService: it is down and nobody drained it, or Slurm is about to reboot it.
    """
    node = found.node
    if node.going:
        raise going(node, "Nothing was changed, in Slurm or on the node.")
    if node.drained and not by_migprov(node):
        waits = tuple(Step(WAIT, node.name, job=job) for job in found.jobs)
        return Plan(waits, f"{somebody(node)}: it stays drained")
    if node.down and not node.drained:
        raise OutOfService(
            f"the node is {node.text}{_because(node)} and nobody drained it, so it could come back into service in the "
            "middle of the change. Nothing was changed, in Slurm or on the node.",
            host=node.name,
            next=f"bring it back, or drain it (scontrol update nodename={node.name} state=drain reason=...), then run "
            "the same again; a node that you drained stays drained.",
        )
    reason = reason_for(change)
    drain = () if node.drained and node.reason == reason else (Step(DRAIN, node.name, reason),)
    action = REQUEUE if jobs == "requeue" else WAIT
    return Plan((*drain, *(Step(action, node.name, job=job) for job in found.jobs)))


def going(node: Node, left: str) -> OutOfService:
    """The error of a node that Slurm is about to take away, and afterwards may give jobs to by itself."""
    return OutOfService(
        f"Slurm is about to reboot the node or to power it down ({node.text}{_because(node)}), which would be in the "
        f"middle of the change. {left}",
        host=node.name,
        next=f"wait until it is back, or take that back (scontrol cancel_reboot {node.name}), then run the same again.",
    )


def plan_resume(found: Reading) -> Plan:
    """Give the node back, if migprov took it.

    Raises:
        NotBack: Slurm is about to reboot it, which a resume would call off.
    """
    node = found.node
    if by_migprov(node) and node.going:
        raise NotBack(
            f"Slurm is about to reboot the node or to power it down ({node.text}), and a resume would call that off. "
            f"It stays drained ({node.reason}).",
            host=node.name,
            next="wait until it is back, then run the same again.",
        )
    if by_migprov(node):
        return Plan((Step(RESUME, node.name),))
    return Plan(note=f"{somebody(node)}: it stays drained" if node.drained else "")


def somebody(node: Node) -> str:
    """Who drained it, for messages."""
    by = node.reason_by or "somebody else"
    since = f" on {node.reason_at}" if node.reason_at else ""
    return f"{node.name} was drained by {by}{since}{_because(node)}, not by migprov"


def _because(node: Node) -> str:
    return f" ({node.reason})" if node.reason else ""
