"""A card to scale: memory slices from top to bottom, what is used of each instance from left to right. Pure.

So the filled area is the memory in use: its height is the instance's memory slices, its width the share in use.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..capacity.account import Card, Part
from ..capacity.model import WHOLE
from .numbers import count, gib

HEIGHT = 160
"""Pixels of a whole card, whatever its product: what is to scale is the inside of each card."""
_TWO_LINES = 36
_ROOM = 36
"""So many narrow letters stand beside each other in the narrowest drawing, 304 pixels."""
_BOLD = 1.15
_WIDE = "WF"

Kind = Literal["held", "unknown", "free", "uncut"]


@dataclass(frozen=True)
class Box:
    """An instance, the whole card, or slices that nobody cut.

    `y` and `height` in pixels; `fill` in percent of the width, None where it is not known or nothing is held. `ticks`:
    the heights of the slices' borders within. `label` and `name` are shortened to fit, `title` is not.
    """

    kind: Kind
    y: float
    height: float
    fill: float | None
    label: str
    name: str
    amount: str
    title: str
    ticks: tuple[float, ...]

    @property
    def two_lines(self) -> bool:
        """Whether the name has a line of its own."""
        return self.height >= _TWO_LINES


def boxes(card: Card) -> list[Box]:
    """What there is to draw of a card, from its first memory slice to its last."""
    if not card.mig:
        return [_box(part, 0, card.slices, card) for part in card.parts]
    found = list(_spans(card))
    return [_box(part, start, size, card) if part else _uncut(start, size, card) for part, start, size in found]


def names(part: Part) -> list[str]:
    """Who holds it: `asr`, or `asr x 3` where several are called the same."""
    counts = Counter(holder.name for holder in part.holders)
    return [name if number == 1 else f"{name} x {number}" for name, number in counts.items()]


def called(part: Part) -> str:
    """The profile, or `whole card`."""
    return "whole card" if part.profile == WHOLE else part.profile


def _spans(card: Card) -> Iterator[tuple[Part | None, int, int]]:
    """The instances with the slices that they take, and the gaps between them; all within the card."""
    position = 0
    for part in sorted(card.parts, key=lambda each: (each.start is None, each.start or 0)):
        start = max(position, part.start if part.start is not None else position)
        size = min(part.slices or 1, card.slices - start)
        if size <= 0:
            continue
        if start > position:
            yield None, position, start - position
        yield part, start, size
        position = start + size
    if position < card.slices:
        yield None, position, card.slices - position


def _box(part: Part, start: int, size: int, card: Card) -> Box:
    unit = HEIGHT / card.slices
    used, total = part.used_mib, part.memory_mib
    who = ", ".join(names(part))
    share = part.efficiency
    if not part.holders:
        kind: Kind = "free"
        amount = f"{gib(total)} GiB free"
    else:
        kind = "held" if share is not None else "unknown"
        amount = f"{gib(used)} of {gib(total)} GiB"
    fill = min(max(share, 0.0), 1.0) * 100 if part.holders and share is not None else None
    label = called(part)
    where = "" if part.start is None else f" at slice {part.start}"
    title = f"{label}{where}: {who + ', ' if who else ''}{amount}"
    tall = size * unit >= _TWO_LINES
    name = shortened(who, _ROOM if tall else _ROOM - _BOLD * len(label) - len(amount) - 1)
    ticks = tuple(round(each * unit, 2) for each in range(1, size))
    return Box(kind, round(start * unit, 2), round(size * unit, 2), fill, label, name, amount, title, ticks)


def _uncut(start: int, size: int, card: Card) -> Box:
    unit = HEIGHT / card.slices
    text = count(size, "slice")
    ticks = tuple(round(each * unit, 2) for each in range(1, size))
    return Box(
        "uncut",
        round(start * unit, 2),
        round(size * unit, 2),
        None,
        "not cut",
        "",
        text,
        f"not cut: {text} of {card.slices}",
        ticks,
    )


def shortened(text: str, room: float) -> str:
    """Text that takes no more room than so many narrow letters, with an ellipsis where it was longer."""
    printable = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    if _room(printable) <= room:
        return printable
    kept = printable
    while kept and _room(kept) > room - 1:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def _room(text: str) -> float:
    return sum(_letter(each) for each in text)


def _letter(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in _WIDE or not letter.isascii() or letter in "MW@%":
        return 2.0
    return 1.5 if letter.isupper() or letter in "mw&" else 1.0
