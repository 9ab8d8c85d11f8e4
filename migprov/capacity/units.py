"""Amounts as people write them: `9.6 GiB`, `20%`, `500 GB/s`; MiB, shares and GB/s inside.

The texts are taken exactly (no binary fractions on the way), so that what is written can be read back as it was.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_MEMORY = re.compile(rf"{_NUMBER} ?([KMGT]i?B)", re.ASCII)
_PERCENT = re.compile(rf"{_NUMBER} ?%", re.ASCII)
_SPEED = re.compile(rf"{_NUMBER} ?([GT]B)/s", re.ASCII)
_LOOSE = re.compile(rf"{_NUMBER} *([kmgt])(i?)b?", re.ASCII | re.IGNORECASE)

_MIB = Fraction(2**20)
_BYTES = {
    unit + binary + "B": Fraction(1024 if binary else 1000) ** power
    for power, unit in ((2, "M"), (3, "G"), (4, "T"))
    for binary in ("", "i")
}
MOST_MIB = 2**40


def memory_mib(text: str) -> int | None:
    """MiB, rounded up, of `9.6 GiB`, `9830 MiB` or `13.4 GB` (decimal); None where it is no amount of memory."""
    found = _MEMORY.fullmatch(text)
    if found is None or found[2] not in _BYTES:
        return None
    return math.ceil(Fraction(found[1]) * _BYTES[found[2]] / _MIB)


def memory_meant(text: str) -> str | None:
    """The nearest amount in a unit that is known: `16 GiB` for `16Gi` and `16 gib`."""
    found = _LOOSE.fullmatch(text.strip())
    return f"{found[1]} {found[2].upper()}{'i' if found[3] else ''}B" if found and found[2] not in "kK" else None


def percent(text: str) -> float | None:
    """0.2 for `20%`; None where it is no percentage."""
    found = _PERCENT.fullmatch(text)
    return float(Decimal(found[1]) / 100) if found else None


def speed_gbs(text: str) -> float | None:
    """GB/s of `500 GB/s` or `1.2 TB/s`; None where it is neither."""
    found = _SPEED.fullmatch(text)
    return float(Decimal(found[1]) * (1000 if found[2] == "TB" else 1)) if found else None


def memory_text(mib: int) -> str:
    """`9 GiB`, or `9831 MiB` where it is no whole number of GiB."""
    return f"{mib // 1024} GiB" if mib % 1024 == 0 else f"{mib} MiB"


def percent_text(share: float) -> str:
    """`20%` for 0.2, with every digit that it has."""
    return f"{_plain(Decimal(repr(share)) * 100)}%"


def speed_text(gbs: float) -> str:
    """`500 GB/s`."""
    return f"{_plain(Decimal(repr(gbs)))} GB/s"


def gib(mib: float) -> str:
    """MiB as GiB with one digit: `9.6 GiB`."""
    return f"{mib / 1024:.1f} GiB"


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
