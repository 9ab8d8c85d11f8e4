"""Cards as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from demo.cards import Card, Holder, Use, gb, use

BAR = 20


def table(cards: Sequence[Card]) -> Table:
    """One row a card."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("node", "GPU", "MIG", "instances", "workloads", "memory in use"):
        shown.add_column(title)
    for card in cards:
        workloads = ", ".join(f"{each.command}{_place(card, each)}" for each in card.holders)
        shown.add_row(
            card.host,
            str(card.index),
            "on" if card.mig else "off",
            ", ".join(f"{each.profile}@{each.start}" for each in card.instances) or "-",
            workloads or "free",
            f"{_bar(card.used_mib, card.memory_mib)} {gb(card.used_mib):>4} of {gb(card.memory_mib)} GB",
        )
    total = use(cards)
    shown.add_section()
    shown.add_row("", "", "", "", f"{total.free_cards} free", f"{total} of the cards in use", style="bold")
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


def _place(card: Card, holder: Holder) -> str:
    """Where on a card in MIG mode a process is."""
    places = [f" on {each.profile}@{each.start}" for each in card.instances if each.gi_id == holder.gi_id]
    return "".join(places)


def _bar(used: int, whole: int) -> str:
    filled = round(BAR * used / whole)
    return "█" * filled + "░" * (BAR - filled)
