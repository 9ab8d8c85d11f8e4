"""What a report tells; page, text and JSON are made of this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..capacity.account import Account
from ..capacity.model import Unplaced


@dataclass(frozen=True)
class Move:
    """A replica that goes from where it runs to another card or instance."""

    workload: str
    to: str
    profile: str
    start: int | None


@dataclass(frozen=True)
class Step:
    """One host that changes. `layout` is its name in the layouts that the plan gives, `cards` are cut anew."""

    host: str
    layout: str
    cards: tuple[str, ...]
    arrive: tuple[Move, ...]


@dataclass(frozen=True)
class Seat:
    """The instance that a workload would get; memory and `spare_mib` (above its peak) in MiB, None where not known."""

    workload: str
    profile: str
    memory_mib: int | None
    sms: int | None
    bandwidth_gbs: float | None
    spare_mib: int | None


@dataclass(frozen=True)
class Way:
    """One way to cut a card. `room` is the largest profile that could still be made beside, None for none."""

    profiles: tuple[str, ...]
    chosen: bool
    seats: tuple[Seat, ...]
    room: str | None
    free_memory_slices: int


@dataclass(frozen=True)
class Choice:
    """Cards that are cut alike, and every way to cut one for the same workloads, that of the plan among them."""

    product: str
    cards: tuple[str, ...]
    workloads: tuple[tuple[str, int], ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class NodeTurn:
    """What a roll's record has of one node. `result` is `unchanged` for one that needed no turn, None for none yet.

    `changes`: a line for each GPU that came out other than it was.
    """

    host: str
    at: str | None
    result: str | None
    message: str | None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roll:
    """What was done, by the record of a roll. Times are ISO 8601, UTC."""

    id: str
    kind: str
    layout: str
    who: str
    begun: str
    state: str
    result: str | None
    reason: str | None
    ended: str | None
    batches: int
    nodes: tuple[NodeTurn, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Nodes by result; `left` are those without one."""
        found: dict[str, int] = {}
        for node in self.nodes:
            found[node.result or "left"] = found.get(node.result or "left", 0) + 1
        return found


@dataclass(frozen=True)
class Report:
    """All that is told. `of` says what the account is drawn from: `plan`, `readings` or `audits`.

    `proof` is the plan's own word on how good it is. `currency` is put before amounts, as it was given.
    """

    account: Account
    of: str
    currency: str = ""
    title: str = ""
    what_if: str | None = None
    steps: tuple[Step, ...] = ()
    choices: tuple[Choice, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    kept: tuple[tuple[str, str, str], ...] = ()
    proof: dict[str, Any] | None = None
    moved: int | None = None
    roll: Roll | None = None
    notes: tuple[str, ...] = ()
