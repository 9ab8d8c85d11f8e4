"""A report in words and tables, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from ..capacity.account import Card
from ..fleet.grouped import hosts
from . import drawing, rules
from .figures import figures, headline, rows
from .groups import Group, grouped
from .model import Choice, Report, Roll, Step
from .numbers import count, gib, percent, when

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN_GROUPS = 40
_SHOWN_STEPS = 20
_SHOWN_NODES = 20
_STYLES = {"freed": "green", "held": "yellow"}


def shown(report: Report) -> Iterator[RenderableType]:
    """All that is worth saying of a report."""
    yield Text(headline(report), style="bold")
    if report.what_if:
        yield Text(f"What if {report.what_if}: a plan on paper, for no node as it is.", style="yellow")
    yield _totals(report)
    for figure in figures(report):
        if figure.beside:
            yield Text(f"{figure.label}: {figure.beside}.")
    for each in report.unplaced:
        yield Text(f"No place for {count(each.replicas, 'replica')} of {each.workload}: {each.reason}.", style="red")
    yield from _cards(report)
    if report.steps:
        yield from _steps(report.steps)
    yield from _choices(report.choices)
    if report.roll is not None:
        yield from _roll(report.roll)
    for name, where, why in report.kept:
        yield Text(f"Note: one replica of {name} stays on {where}, unplanned: {why}.", style="yellow")
    for note in (*report.notes, *report.account.notes):
        yield Text(f"Note: {note.rstrip('.')}.", style="yellow")


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(header_style="dim", box=box.SIMPLE_HEAD)
    for name in columns:
        if name in right:
            table.add_column(name, justify="right", no_wrap=True)
        else:
            table.add_column(name, overflow="fold")
    return table


def _totals(report: Report) -> Table:
    after = "After" if report.account.compared else "Planned"
    names = ("Before", after) if report.account.compared else (after,)
    table = _table("", *names, right=names)
    for row in rows(report):
        table.add_row(Text(row.label), *(Text(value.text) for _, value in row.values))
    return table


def _cards(report: Report) -> Iterator[RenderableType]:
    groups = grouped(report.account.pairs)
    for group in groups[:_SHOWN_GROUPS]:
        yield _title(group)
        yield _sides(group)
    if left := groups[_SHOWN_GROUPS:]:
        yield Text(f"and {count(sum(len(group.names) for group in left), 'more card')}; the page (-o) shows all")


def _title(group: Group) -> Text:
    card = group.pair.after
    several = f"{count(len(group.names), 'card')}: " if len(group.names) > 1 else ""
    why = f": {card.held}" if card.held else ""
    about = f"{several}{hosts(group.names)}, {card.product}, {gib(card.memory_mib)} GiB"
    return Text.assemble((about, "bold"), (f" ({group.word}{why})", _STYLES.get(group.change, "")))


def _sides(group: Group) -> Table:
    pair = group.pair
    numbers = ("Used, GiB", "%", "SMs", "GB/s")
    table = _table("", "Instance", "Held by", *numbers, right=numbers)
    for column in table.columns[:2]:
        column.no_wrap = True
    sides = [("before", pair.before), ("after", pair.after)] if pair.compared else [("planned", pair.after)]
    for said, card in sides:
        for number, cells in enumerate(_parts(card)):
            table.add_row(*map(Text, ("" if number else said, *cells)))
    return table


def _parts(card: Card) -> Iterator[tuple[str, ...]]:
    if not card.parts:
        yield "not cut", "nobody", "", "", "", ""
    for part in card.parts:
        where = "" if part.start is None else f" at {part.start}"
        yield (
            f"{drawing.called(part)}{where}",
            ", ".join(drawing.names(part)) or "nobody",
            f"{gib(part.used_mib)} of {gib(part.memory_mib)}",
            percent(part.efficiency) if part.holders else "",
            rules.sms(part, card.product),
            rules.rate(part),
        )


def _steps(steps: tuple[Step, ...]) -> Iterator[Text]:
    yield Text("What changes, in order:", style="bold")
    for number, step in enumerate(steps[:_SHOWN_STEPS], 1):
        layout = f" gets {step.layout}" if step.layout else ""
        cards = f": cut anew {', '.join(step.cards)}" if step.cards else ""
        yield Text(f"{number:3}. {step.host}{layout}{cards}")
        for move in step.arrive:
            where = "" if move.start is None else f", {move.profile} at {move.start}"
            yield Text(f"     {move.workload} moves to {move.to}{where}")
    if len(steps) > _SHOWN_STEPS:
        yield Text(f"     and {count(len(steps) - _SHOWN_STEPS, 'more node')}")


def _choices(choices: tuple[Choice, ...]) -> Iterator[RenderableType]:
    for choice in choices:
        who = ", ".join(name if number == 1 else f"{number} x {name}" for name, number in choice.workloads)
        yield Text(f"Ways to cut one {choice.product} for {who} ({hosts(choice.cards)}):", style="bold")
        table = _table("", "Cut", "Who gets what", "Could still be made beside")
        for way in choice.ways:
            seats = "\n".join(dict.fromkeys(f"{seat.workload}: {rules.seat(seat)}" for seat in way.seats))
            planned = "planned" if way.chosen else ""
            table.add_row(*map(Text, (planned, " + ".join(way.profiles), seats, way.room or "nothing")))
        yield table


def _roll(roll: Roll) -> Iterator[Text]:
    result = f" ({roll.result})" if roll.result else ""
    ended = f", {when(roll.ended)}" if roll.ended else ""
    yield Text("What was done:", style="bold")
    yield Text(f"{roll.kind} {roll.id} to {roll.layout}, begun {when(roll.begun)} by {roll.who}")
    yield Text(f"{roll.state}{result}{ended}: " + ", ".join(f"{number} {name}" for name, number in roll.counts.items()))
    if roll.reason:
        yield Text(roll.reason)
    for node in roll.nodes[:_SHOWN_NODES]:
        parts = [node.host, node.result or "left", when(node.at), node.message or "", "; ".join(node.changes)]
        yield Text("  " + "  ".join(part for part in parts if part))
    if len(roll.nodes) > _SHOWN_NODES:
        yield Text(f"  and {count(len(roll.nodes) - _SHOWN_NODES, 'more node')}")
