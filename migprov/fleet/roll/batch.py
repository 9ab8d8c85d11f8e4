"""Who is next. Pure: the fleet as it is now, who is done, and the limits -> the nodes of the next batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .limits import Limit
from .member import Member
from .steps import Steps


@dataclass(frozen=True)
class Batch:
    """The nodes that change next, together. `number` counts from 0."""

    number: int
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Blocked:
    """Nodes are left, and none of them may go now. `reason` is that of the first."""

    reason: str
    hosts: tuple[str, ...]


def next_batch(
    members: Sequence[Member], done: Collection[str], steps: Steps, number: int, limits: Sequence[Limit]
) -> Batch | Blocked | None:
    """The next batch, or why there is none; None when nothing is left to change.

    `members` is the whole fleet in the inventory's order, as it is now. Nodes that serve nobody anyway go first, then
    idle ones, then the others. A node that a limit forbids now does not keep those behind it.
    """
    left = order([member for member in members if member.changes and member.name not in done])
    if not left:
        return None
    size = steps.size(number, len(members))
    chosen: list[str] = []
    for member in left:
        if len(chosen) == size:
            break
        if all(limit.broken_by(members, {*chosen, member.name}) is None for limit in limits):
            chosen.append(member.name)
    if chosen:
        return Batch(number, tuple(chosen))
    first = left[0]
    reasons = [reason for limit in limits if (reason := limit.broken_by(members, {first.name}))]
    return Blocked(f"{first.name} may not be taken out of service: {'; '.join(reasons)}", tuple(m.name for m in left))


def order(members: Sequence[Member]) -> list[Member]:
    """The order in which nodes change: out of service, idle, busy; the inventory's order among equals."""
    return sorted(members, key=lambda member: (member.out is None, not member.idle))
