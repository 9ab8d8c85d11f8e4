"""What draining or resuming a node came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .plan import Step, by_migprov
from .state import Job, Node


@dataclass(frozen=True)
class Drained:
    """A node that migprov drained and has not given back. `since` is as in `Node.reason_at`."""

    node: str
    reason: str
    since: str


@dataclass(frozen=True)
class Outcome:
    """`before` and `after` are the node as Slurm sees it; in check mode `after` is what would be.

    `steps` are those done (in check mode: that would be done), `jobs` those on the node afterwards, `requeued` the ids
    of jobs that were put back into the queue, `note` what is worth saying of a node that somebody else drained.
    """

    before: Node
    after: Node
    steps: tuple[Step, ...] = ()
    jobs: tuple[Job, ...] = ()
    requeued: tuple[str, ...] = ()
    note: str = ""
    check: bool = False

    @property
    def changed(self) -> bool:
        return any(step.action != "wait_for_job" for step in self.steps)

    @property
    def fact(self) -> dict[str, Any]:
        """The fact `gpu_drain_node` of docs/architecture.md."""
        return fact(self.after)

    def to_json(self) -> dict[str, Any]:
        return {
            "changed": self.changed,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "steps": [step.to_json() for step in self.steps],
            "jobs": [job.to_json() for job in self.jobs],
            "requeued": list(self.requeued),
            "note": self.note,
        }


def fact(node: Node) -> dict[str, Any]:
    """Whether the node is out of service, and through whom."""
    return {
        "scheduler": "slurm",
        "node": node.name,
        "drained": node.drained or node.down,
        "by_migprov": by_migprov(node),
        "reason": node.reason,
        "manager": False,
    }
