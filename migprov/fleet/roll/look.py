"""What a look at the nodes found: the preflight of the playbook, out of its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...mig.text import describe_step
from ...result import Result
from .member import Member, of_look

LAYOUT = "migprov.gpu.mig_layout"
READY = "Every node is ready"
"""The task of the playbook that sums up; it speaks of other nodes than the one that it runs on."""


@dataclass
class Look:
    """One node. `reply`: the answer of the task `layout` in check mode; `drain`: the fact `gpu_drain_node`."""

    host: str
    reply: dict[str, Any] = field(default_factory=dict)
    drain: dict[str, Any] = field(default_factory=dict)
    last_change: dict[str, Any] | None = None
    """For a rollback: the change before which it goes back, as the node's journal names it."""
    message: str | None = None
    unreachable: bool = False

    @property
    def ready(self) -> bool:
        """Whether it was looked at and nothing is in the way."""
        return self.message is None and bool(self.reply)

    @property
    def interrupted(self) -> dict[str, Any] | None:
        """The node's last change, when the run that made it died on the way."""
        return self.reply.get("interrupted") or None

    @property
    def drained_by_migprov(self) -> bool:
        """Whether an earlier run took the node from its scheduler and has not given it back."""
        return bool(self.drain.get("drained") and self.drain.get("by_migprov"))

    def member(self, groups: Sequence[str]) -> Member:
        """The node as the order of the roll sees it."""
        return of_look(
            self.host,
            groups,
            self.reply,
            whole_node=bool(self.drain.get("scheduler")),
            to_resume=self.drained_by_migprov,
            out=self._out(),
        )

    def to_json(self) -> dict[str, Any]:
        """What the record says of it."""
        member = self.member(())
        found = {
            "changes": member.changes,
            "steps": [describe_step(step) for step in self.reply.get("planned") or ()],
            "idle": member.idle,
            "error": self.message,
        }
        if self.drained_by_migprov:
            found["drained"] = self.drain.get("reason") or "drained by migprov"
        if self.interrupted:
            found["interrupted"] = self.interrupted
        if self.last_change is not None:
            found["last_change"] = self.last_change
        return found

    def result(self) -> Result:
        """What it came to, as the other commands show it."""
        error = None
        if not self.ready:
            code = "unreachable" if self.unreachable else "not_ready"
            error = self.reply.get("error") or {"code": code, "message": self.message or "no answer", "next": None}
        reply = {"task": "layout", **self.reply, "check": True, "error": error}
        return Result.from_reply(self.host, {**reply, "data": {"interrupted": self.interrupted}})

    def _out(self) -> str | None:
        if self.unreachable:
            return "unreachable"
        if self.drain.get("drained"):
            return str(self.drain.get("reason") or "drained")
        return None if self.reply.get("before") else self.message or "no answer"


def looks(
    hosts: Iterable[str], events: Iterable[Mapping[str, Any]], action: str = LAYOUT
) -> tuple[dict[str, Look], str]:
    """What the events of a preflight say of each node, and what Ansible said beside them.

    `action`: the module whose answer in check mode counts.
    """
    found = {host: Look(host) for host in hosts}
    play, said, problem = None, [], None
    for event in events:
        if event["event"] == "play" and play is None:
            play = event["name"]
        elif event["event"] == "said":
            said.append(event["text"])
        elif event["event"] == "end":
            problem = event["problem"]
        elif event["event"] == "result" and event["play"] == play and event["host"] in found:
            _take(found[event["host"]], event, action)
    for look in found.values():
        if not look.reply and look.message is None:
            look.message = problem or "it was not looked at"
    return found, "\n".join(said)


def _take(look: Look, event: Mapping[str, Any], action: str) -> None:
    res = event["res"]
    if "gpu_drain_node" in res:
        look.drain = dict(res["gpu_drain_node"])
    if "changes" in res:
        look.last_change = res["changes"][-1] if res["changes"] else None
    if event["action"] == action and event["status"] in ("ok", "failed"):
        look.reply = dict(res)
    if event["status"] in ("failed", "unreachable") and not event["ignored"] and event["task"] != READY:
        look.unreachable = event["status"] == "unreachable"
        # The first thing that is wrong is the cause of the others.
        look.message = look.message or str(res.get("msg"))
