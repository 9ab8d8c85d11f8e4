"""Cards as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from demo.cards import Card, Use, gb, use

BAR = 10


def table(cards: Sequence[Card]) -> Table:
    """One row a card; narrow enough for 80 columns."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("node", "GPU", "MIG", "who holds it"):
        shown.add_column(title)
    shown.add_column("memory in use", no_wrap=True)
    for card in cards:
        shown.add_row(
            card.host,
            str(card.index),
            "on" if card.mig else "off",
            "\n".join(_places(card)),
            f"{_bar(card.used_mib, card.memory_mib)} {gb(card.used_mib):>4} of {gb(card.memory_mib)} GB",
        )
    total = use(cards)
    shown.add_section()
    shown.add_row("", "", "", f"{total.free_cards} free, the others:", str(total), style="bold")
    return shown


def summary(before: Use, after: Use) -> Table:
    """Before and after, side by side."""
    shown = Table(title="The same work, before and after", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "memory in use", "of the cards held", "share", "free cards"):
        shown.add_column(title)
    for name, each in (("before", before), ("after", after)):
        row = (f"{gb(each.used_mib)} GB", f"{gb(each.held_mib)} GB", f"{each.share:.0%}", str(each.free_cards))
        shown.add_row(name, *row)
    return shown


def _places(card: Card) -> list[str]:
    """A line for each instance, or for each process on a whole card."""
    if not card.mig:
        return [holder.command for holder in card.holders] or ["free"]
    lines = []
    for instance in card.instances:
        names = [holder.command for holder in card.holders if holder.gi_id == instance.gi_id]
        lines.append(f"{instance.profile} at {instance.start}: {', '.join(names) or 'free'}")
    return lines


def _bar(used: int, whole: int) -> str:
    filled = round(BAR * used / whole)
    return "█" * filled + "░" * (BAR - filled)
