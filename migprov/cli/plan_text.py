"""A plan in words and tables, for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from ..capacity.explain import Explanation
from ..capacity.model import WHOLE, Assignment, Bound, CardPlan, Instance
from ..capacity.planning import Planned
from ..capacity.products import Offer, product
from ..capacity.units import gib
from ..fleet.grouped import hosts

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_TABLES = 20
_NAMED_FREED = 20
_NAMED_WHO = 8

Row = tuple[str, ...]


def shown(planned: Planned, explained: Sequence[Explanation], *, each: bool) -> Iterator[RenderableType]:
    """All that is worth saying of a plan."""
    if planned.what_if:
        yield Text(f"What if {planned.what_if}: a plan on paper, for no node as it is.\n", style="yellow")
    yield from _tables(planned, each=each)
    for one in explained:
        yield from _explanation(one)
    yield from _unplaced(planned)
    for note in planned.notes:
        yield Text(f"Note: {note}.", style="yellow")
    for kept in planned.kept:
        place = f"{kept.place.host}/{kept.place.gpu}"
        yield Text(f"Note: one replica of {kept.workload} stays on {place}, unplanned: {kept.why}.", style="yellow")
    yield from _summary(planned)


# --- who goes where -----------------------------------------------------------------------------------------------


def _tables(planned: Planned, *, each: bool) -> Iterator[RenderableType]:
    """A table for each node; nodes that come out alike are told together where there are many."""
    seated: dict[tuple[str, int], list[Assignment]] = defaultdict(list)
    for assignment in planned.plan.assignments:
        seated[assignment.host, assignment.index].append(assignment)
    of_host: dict[str, list[CardPlan]] = defaultdict(list)
    for card in planned.plan.cards:
        of_host[card.card.host].append(card)
    together: dict[tuple[Row, ...], list[str]] = defaultdict(list)
    for host, cards in of_host.items():
        rows = tuple(_row(card, seated[host, card.card.index], planned) for card in cards)
        if each or len(of_host) <= _MOST_TABLES:
            yield from _table(host, rows)
        else:
            together[rows].append(host)
    for rows, names in sorted(together.items(), key=lambda item: -len(item[1]))[:_MOST_TABLES]:
        number = f" ({len(names):,} nodes)" if len(names) > 1 else ""
        yield from _table(f"{hosts(names)}{number}", rows)
    if len(together) > _MOST_TABLES:
        left = list(together.values())[_MOST_TABLES:]
        yield Text(f"and {sum(map(len, left)):,} more nodes, each other than these; --each shows every node.")


def _table(title: str, rows: Iterable[Row]) -> Iterator[RenderableType]:
    # Above the table, not its title, which would be broken to the table's width.
    yield Text(title, style="bold")
    table = Table(header_style="dim", box=box.SIMPLE_HEAD)
    table.add_column("GPU", justify="right")
    table.add_column("Product", overflow="fold")
    table.add_column("Now", overflow="fold")
    table.add_column("Planned", overflow="fold")
    table.add_column("Who", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    yield table


def _row(each: CardPlan, seated: Sequence[Assignment], planned: Planned) -> Row:
    card = each.card
    now = _cut(card.mig, card.instances)
    if card.held is not None:
        return str(card.index), card.product, now, "left alone", card.held
    after = _cut(each.mig, each.instances) if each.changes else "as it is"
    who = _who(seated)
    if not each.used:
        freed = planned.used_before is not None and (card.host, card.index) in planned.used_before
        who = "freed" if freed else "free"
    return str(card.index), card.product, now, after, who


def _cut(mig: bool, instances: Iterable[Instance]) -> str:
    if not mig:
        return "whole"
    counts = Counter(each.profile for each in instances)
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in sorted(counts.items())) or "uncut"


def _who(seated: Sequence[Assignment]) -> str:
    lines = Counter(
        each.workload
        + ("" if each.profile == WHOLE else f" in {each.profile} at {each.start}")
        + (" (moves here)" if each.moved else "")
        for each in sorted(seated, key=lambda each: (each.start or 0, each.workload))
    )
    return "\n".join(lines)


# --- why so -------------------------------------------------------------------------------------------------------


def _explanation(one: Explanation) -> Iterator[RenderableType]:
    names = [card.card.name for card in one.cards]
    who = ", ".join(name if count == 1 else f"{count} x {name}" for name, count in one.seated)
    yield Text(f"Ways to cut one {one.product} for {who} ({hosts(names)})", style="bold")
    table = Table(header_style="dim", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("Cut", overflow="fold")
    table.add_column("Each has, and spare above its peak", overflow="fold")
    table.add_column("Could still be made beside", overflow="fold")
    offers = product(one.product).offers
    for way in one.ways:
        table.add_row(
            Text("planned" if way.pattern == one.chosen else "", style="green"),
            Text(" + ".join(way.pattern)),
            Text(
                "\n".join(
                    dict.fromkeys(
                        f"{seat.workload}: {_offer(seat.offer)}; {_spare(seat.spare_mib)} spare" for seat in way.seats
                    )
                )
            ),
            Text("nothing" if way.room is None else _offer(offers[way.room])),
        )
    yield table


def _offer(offer: Offer) -> str:
    """`3g.40gb (39.2 GiB, 42 SMs, 1,020 GB/s)`; what is not known is left out."""
    parts = [
        None if offer.memory_mib is None else gib(offer.memory_mib),
        None if offer.sms is None else f"{offer.sms} SMs",
        None if offer.bandwidth_gbs is None else f"{offer.bandwidth_gbs:,.0f} GB/s",
    ]
    known = ", ".join(part for part in parts if part)
    return f"{offer.name} ({known})" if known else offer.name


def _spare(mib: int | None) -> str:
    return "an unknown amount" if mib is None else gib(mib)


# --- what it comes to ---------------------------------------------------------------------------------------------


def _unplaced(planned: Planned) -> Iterator[Text]:
    for each in planned.plan.unplaced:
        copies = "1 replica" if each.replicas == 1 else f"{each.replicas:,} replicas"
        yield Text(f"No place for {copies} of {each.workload}: {each.reason}.", style="red")


def _summary(planned: Planned) -> Iterator[Text]:
    plan = planned.plan
    usable = sum(each.card.held is None for each in plan.cards)
    before = "" if planned.used_before is None else f"{len(planned.used_before):,} before, "
    yield Text(f"Cards in use: {before}{plan.used.value:,.0f} after, of {usable:,}; {_proof(plan.used)}.", style="bold")
    if plan.cost is not None:
        yield Text(f"Cost of the cards in use: {plan.cost.value:,.2f} an hour; {_proof(plan.cost, 2)}.")
    freed = planned.freed
    if freed:
        names = ", ".join(card.name for card in freed[:_NAMED_FREED])
        more = f" and {len(freed) - _NAMED_FREED:,} more" if len(freed) > _NAMED_FREED else ""
        what = "Free" if planned.used_before is None else "Freed"
        yield Text(f"{what}: {len(freed):,} card{'' if len(freed) == 1 else 's'}: {names}{more}.", style="green")
    else:
        yield Text("Freed: none.")
    changed = f"{len(plan.changed):,} card{'' if len(plan.changed) == 1 else 's'} cut anew"
    moved = f"{plan.moved:,} replica{'' if plan.moved == 1 else 's'} that run{'s' if plan.moved == 1 else ''} now moved"
    yield Text(f"{changed}, {moved}.")
    if plan.unplaced:
        count = sum(each.replicas for each in plan.unplaced)
        verb = "has" if count == 1 else "have"
        yield Text(f"{count:,} replica{'' if count == 1 else 's'} {verb} no place.", style="red")


def _proof(bound: Bound, digits: int = 0) -> str:
    if not bound.gap:
        return "proven to be the least"
    return f"proven: none below {bound.bound:,.{digits}f} is possible (gap {bound.gap:.2%})"
