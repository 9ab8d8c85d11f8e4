"""What happens in a roll, told as it happens. `to_json` is what `--json` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from ...result import Result

GOOD = ("done", "unchanged")


@dataclass(frozen=True)
class _Event:
    event: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """One JSON object: `event`, then the fields."""
        fields = dataclasses.fields(self)
        return {"event": self.event, **{each.name: getattr(self, each.name) for each in fields if each.repr}}


@dataclass(frozen=True)
class Begun(_Event):
    """The roll is known by `id` from now on. `resumed`: it goes on; `done` nodes were done before."""

    event = "begun"
    id: str
    hosts: tuple[str, ...]
    layout: str
    resumed: bool = False


@dataclass(frozen=True)
class Note(_Event):
    """Something that the person who rolls should know."""

    event = "note"
    text: str


@dataclass(frozen=True)
class Looking(_Event):
    """All these nodes are looked at; `why` in a few words."""

    event = "looking"
    hosts: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Looked(_Event):
    """What was found. `nodes`: as in the record, `{host: {"changes", "steps", "idle", "error"}}`."""

    event = "looked"
    nodes: Mapping[str, Mapping[str, Any]]
    results: Mapping[str, Result] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class BatchBegun(_Event):
    """Batch `number` (from 1) of these nodes begins. `left` nodes come after it, in about `of` batches in all."""

    event = "batch"
    number: int
    hosts: tuple[str, ...]
    left: int
    of: int
    check: bool = False


@dataclass(frozen=True)
class TaskBegun(_Event):
    """A node begins a task of the playbook."""

    event = "task"
    host: str
    task: str


@dataclass(frozen=True)
class NodeDone(_Event):
    """A node's turn is over. `result`: `done`, `unchanged`, `failed` or `unreachable`.

    `before` and `after`: the GPU instances by GPU, None where MIG is off.
    """

    event = "node"
    host: str
    result: str
    message: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    whole: Result | None = field(default=None, repr=False)

    @property
    def good(self) -> bool:
        """Whether the node is as wanted now."""
        return self.result in GOOD


@dataclass(frozen=True)
class BatchDone(_Event):
    """Every node of the batch is as wanted."""

    event = "batch_done"
    number: int


@dataclass(frozen=True)
class Soaking(_Event):
    """The batch is watched for `seconds` before the next one."""

    event = "soak"
    seconds: float


@dataclass(frozen=True)
class Over(_Event):
    """The roll is over for now. `state`: `paused`, `stopped` or `ended`; `result`: how.

    `result` is `done`, `nothing_to_do`, `checked`, `paused`, `interrupted`, `failed`, `unreachable`, `not_ready` or
    `blocked`. `resumable`: `migprov rollout --resume` goes on with it.
    """

    event = "over"
    state: str
    result: str
    reason: str
    id: str | None
    done: tuple[str, ...]
    failed: tuple[str, ...]
    left: tuple[str, ...]
    kind: str = field(default="rollout", repr=False)

    @property
    def resumable(self) -> bool:
        return self.id is not None and self.state != "ended"

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "event": self.state}


Event: TypeAlias = Begun | Note | Looking | Looked | BatchBegun | TaskBegun | NodeDone | BatchDone | Soaking | Over
