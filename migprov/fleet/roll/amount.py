"""So many nodes, or such a share of them: `3`, `25%`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_AMOUNT = re.compile(r"([0-9]{1,6})(%?)", re.ASCII)


@dataclass(frozen=True)
class Amount:
    """`number` nodes, or `number` percent of them."""

    number: int
    percent: bool = False

    def of(self, total: int) -> int:
        """How many of `total` that is, rounded down."""
        return self.number * total // 100 if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


def parse_amount(text: str) -> Amount:
    """Read `3` or `25%`.

    Raises:
        ValueError: it is neither a whole number from 1 nor a percentage from 1% to 100%.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is neither a number of nodes nor a percentage")
    amount = Amount(int(match[1]), bool(match[2]))
    if amount.number < 1 or (amount.percent and amount.number > 100):
        raise ValueError(f"{text.strip()!r} is not in the range of 1 or more nodes, or 1% to 100%")
    return amount
