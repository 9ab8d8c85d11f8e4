"""Numbers as people read them, the same on the page and in the text."""

from __future__ import annotations

_MONTH_H = (672, 744)
_WHOLE_GIB = 1000


def gib(mib: float | None) -> str:
    """MiB in GiB, without the unit: `96.2`, `240`, `12,512`; `?` where it is not known."""
    if mib is None:
        return "?"
    amount = mib / 1024
    return f"{amount:,.0f}" if amount >= _WHOLE_GIB else f"{amount:,.1f}".removesuffix(".0")


def percent(share: float | None) -> str:
    """`40 %`; `?` where it is not known. What is not nothing is not 0 %."""
    if share is None:
        return "?"
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def money(amount: float | None, currency: str) -> str:
    """`$4,320` or `EUR 4,320.50`: whole amounts without decimals."""
    if amount is None:
        return "?"
    text = f"{abs(amount):,.2f}".removesuffix(".00")
    space = " " if currency[-1:].isalnum() else ""
    return f"{'-' if amount < 0 else ''}{currency}{space}{text}"


def speed(gbs: float | None) -> str:
    """`1,020 GB/s`; `?` where it is not known."""
    return "?" if gbs is None else f"{gbs:,.0f} GB/s"


def period(hours: float) -> str:
    """`a month of 720 h`, or `100 h`."""
    return f"a month of {hours:g} h" if _MONTH_H[0] <= hours <= _MONTH_H[1] else f"{hours:,g} h"


def count(number: int, what: str) -> str:
    """`1 card`, `1,200 cards`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def when(iso: str | None) -> str:
    """A record's time without fractions of seconds: `2026-07-28 10:15:02 UTC`."""
    if not iso or iso == "None":
        return ""
    text = iso.replace("T", " ", 1)
    zone = " UTC" if text.endswith(("+00:00", "Z")) else ""
    return text[:19] + zone if zone else text
