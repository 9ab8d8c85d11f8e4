"""What a task on one node came to."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import NodeError, NodeFailed

UNREACHABLE_CODES = frozenset({"unreachable", "host_key", "auth", "connection_lost"})
"""Codes that say that migprov could not talk to the node, or lost it."""


@dataclass(frozen=True)
class Result:
    """The answer of one node to one task. States, steps and error are the plain data of the wire.

    `steps` are the steps done (in check mode: that would be done), `planned` the whole plan. `before` and
    `after` are None where nothing was read.
    """

    host: str
    task: str
    check: bool = False
    changed: bool = False
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    steps: tuple[dict[str, Any], ...] = ()
    planned: tuple[dict[str, Any], ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """True when the task did not succeed, for whatever reason; an unreachable node too."""
        return self.error is not None

    @property
    def unreachable(self) -> bool:
        """True when migprov could not talk to the node, or lost it."""
        return self.error is not None and self.error.get("code") in UNREACHABLE_CODES

    @property
    def diff(self) -> str:
        """Before and after as a unified diff for people; empty when nothing differs or was read."""
        if self.before is None or self.after is None:
            return ""
        from .mig.text import describe  # the node's half; not needed by those who only pass data on

        lines = difflib.unified_diff(
            describe(self.before),
            describe(self.after),
            fromfile=f"{self.host} before",
            tofile=f"{self.host} after",
            lineterm="",
        )
        return "".join(f"{line}\n" for line in lines)

    def to_json(self) -> dict[str, Any]:
        """Exactly the keys that `--json` prints for a node."""
        return {
            "host": self.host,
            "changed": self.changed,
            "failed": self.failed,
            "unreachable": self.unreachable,
            "before": self.before,
            "after": self.after,
            "steps": list(self.steps),
            "error": self.error,
        }

    @classmethod
    def from_reply(cls, host: str, reply: Mapping[str, Any]) -> Result:
        """The Result of a reply that `migprov.connect.command.understand` has accepted."""
        return cls(
            host=host,
            task=reply.get("task") or "",
            check=bool(reply.get("check")),
            changed=bool(reply.get("changed")),
            before=reply.get("before"),
            after=reply.get("after"),
            steps=tuple(reply.get("steps") or ()),
            planned=tuple(reply.get("planned") or ()),
            data=dict(reply.get("data") or {}),
            error=reply.get("error"),
        )

    @classmethod
    def from_error(cls, host: str, task: str, error: NodeError, *, check: bool = False) -> Result:
        """The Result of a node that gave no reply, or whose reply carries an error."""
        if isinstance(error, NodeFailed):
            return error.result
        return cls(host=host, task=task, check=check, error=error.to_json())
