"""How much of the fleet may be out of service at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ...errors import BadRequest
from ...mig.names import parse
from .amount import Amount, parse_amount
from .member import WHOLE_GPU, Member


@dataclass(frozen=True)
class MaxUnavailable:
    """At most `amount` nodes of `pool` (an inventory group; None: of all) serve nobody at the same time."""

    pool: str | None
    amount: Amount

    def broken_by(self, members: Sequence[Member], batch: Collection[str]) -> str | None:
        """Why these nodes may not be taken out together, beside those that are out; None when they may."""
        pool = [member for member in members if self.pool is None or self.pool in member.groups]
        new = [member.name for member in pool if member.name in batch and member.out is None]
        out = [member.name for member in pool if member.out is not None]
        allowed = self.amount.of(len(pool))
        if not new or len(new) + len(out) <= allowed:
            return None
        where = f" of {self.pool!r}" if self.pool else ""
        already = f"; out already: {_some(out)}" if out else ""
        return f"at most {allowed} of the {len(pool)} nodes{where} may be out of service{already}"

    def __str__(self) -> str:
        return f"{self.pool}:{self.amount}" if self.pool else str(self.amount)


@dataclass(frozen=True)
class Floor:
    """At least `count` instances of `profile` (or whole GPUs: `gpu`) stay in service in the whole fleet."""

    profile: str
    count: int

    def broken_by(self, members: Sequence[Member], batch: Collection[str]) -> str | None:
        """Why these nodes may not be taken out together; None when they may.

        A node that takes none of the profile away may go even below the floor: waiting would help nobody.
        """
        serving = [member for member in members if member.out is None]
        now = sum(member.instances.get(self.profile, 0) for member in serving)
        less = sum(member.loses.get(self.profile, 0) for member in serving if member.name in batch)
        if less == 0 or now - less >= self.count:
            return None
        return f"at least {self.count} x {self.profile} stay in service; of the {now} now, {now - less} would be left"

    def __str__(self) -> str:
        return f"{self.profile}={self.count}"


Limit = MaxUnavailable | Floor


def parse_max_unavailable(text: str) -> MaxUnavailable:
    """Read `2`, `25%`, `GROUP:2` or `GROUP:25%`.

    Raises:
        BadRequest: it is none of these.
    """
    pool, colon, amount = text.rpartition(":")
    try:
        if colon and not pool:
            raise ValueError("the group before ':' is empty")
        return MaxUnavailable(pool or None, parse_amount(amount))
    except ValueError as error:
        raise BadRequest(
            f"max-unavailable {text!r} cannot be used: {error}", next="give it like 2, 10%, GROUP:2 or GROUP:10%"
        ) from None


def parse_floor(text: str) -> Floor:
    """Read `1g.10gb=12`, or `gpu=4` for GPUs without MIG.

    Raises:
        BadRequest: it is not like that. A name that no GPU has would keep nothing in service.
    """
    profile, _, count = (part.strip() for part in text.partition("="))
    try:
        if not (count.isascii() and count.isdecimal()):
            raise ValueError
        if profile != WHOLE_GPU:
            name = parse(profile)
            if name.compute_slices is not None:
                raise ValueError
            profile = name.canonical  # as the driver writes it
        return Floor(profile, int(count))
    except ValueError as error:  # BadProfileName too, which says what one looks like
        raise BadRequest(
            f"floor {text!r} cannot be used" + (f": {error}" if str(error) else ""),
            next="give it like 1g.10gb=12, or gpu=4 for GPUs without MIG",
        ) from None


def check_pools(limits: Iterable[Limit], members: Sequence[Member]) -> None:
    """Refuse limits that no roll could ever keep.

    Raises:
        BadRequest: a group has no node of the fleet, or the share of it is less than one node.
    """
    for limit in limits:
        if not isinstance(limit, MaxUnavailable):
            continue
        size = sum(limit.pool is None or limit.pool in member.groups for member in members)
        if size == 0:
            raise BadRequest(f"max-unavailable {limit}: no node of the inventory is in the group {limit.pool!r}.")
        if limit.amount.of(size) < 1:
            raise BadRequest(
                f"max-unavailable {limit}: that is less than one of {size} nodes, so nothing could ever change",
                next="give a larger share, or 1",
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
