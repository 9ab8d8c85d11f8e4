"""The sizes of a roll's batches, as Ansible's `serial` has them: `1,10%,25%`."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import BadRequest
from .amount import Amount, parse_amount

DEFAULT = "1,10%,25%"
"""A canary, then growing steps."""


@dataclass(frozen=True)
class Steps:
    """Batch sizes in order; the last one repeats."""

    sizes: tuple[Amount, ...]

    def size(self, number: int, total: int) -> int:
        """How many nodes batch `number` (from 0) has at most, of a roll of `total`: at least 1, shares rounded down."""
        return max(1, self.sizes[min(number, len(self.sizes) - 1)].of(total))

    def __str__(self) -> str:
        return ",".join(str(size) for size in self.sizes)


def parse(text: str) -> Steps:
    """Read `1,10%,25%`.

    Raises:
        BadRequest: a part is neither a whole number of nodes from 1 nor a percentage from 1% to 100%.
    """
    try:
        return Steps(tuple(parse_amount(part) for part in text.split(",")))
    except ValueError as error:
        raise BadRequest(f"the steps {text!r} cannot be used: {error}", next=f"give them like {DEFAULT}") from None
