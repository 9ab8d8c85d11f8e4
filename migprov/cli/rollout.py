"""`migprov rollout`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..mig.drain import REFUSE, TERMINATE, WAIT
from .numbers import LONGEST_S, Number
from .rolling import ID, NEWEST, refuse_fixed, rolling_options

if TYPE_CHECKING:
    from ..fleet.roll import Roll


@click.command("rollout", short_help="move a fleet to a layout, one batch after another")
@click.argument("layout", nargs=-1, metavar="[FILE NAME]")
@click.option(
    "-i", "--inventory", multiple=True, metavar="INVENTORY", help="Ansible inventory; several of them count as one."
)
@click.option("--limit", metavar="PATTERN", help="Only these hosts of the inventory.")
@click.option("--check", is_flag=True, help="Look at every node, say which batch would change what; write nothing.")
@click.option("--diff", is_flag=True, help="Print the layout of each node before and after.")
@rolling_options
@click.option(
    "--drain",
    type=click.Choice((REFUSE, WAIT, TERMINATE)),
    help="Work in the way: name it and stay away, wait for its end, or end it.  [default: the inventory's, or refuse]",
)
@click.option(
    "--timeout",
    type=Number(min=0, max=LONGEST_S),
    metavar="S",
    help="Seconds that 'wait' and 'terminate' give the work of a node.",
)
@click.option(
    "--node-timeout",
    type=Number(min=1, max=LONGEST_S),
    metavar="S",
    help="Seconds after which the change of one node counts as hung; it is not ended.",
)
@click.option("--forks", type=click.IntRange(min=1), help="How many nodes at once.")
@click.option("--json", "as_json", is_flag=True, help="What happens, one JSON object a line.")
def command(layout: tuple[str, ...], resume: str | None, as_json: bool, diff: bool, **options: Any) -> None:
    """Move the nodes of INVENTORY to the layout NAME of the layout file FILE, or to the inventory's own layouts.

    Every node is looked at before the first change. Then one batch changes after another: a canary, then more at once.
    The roll stops at the first node that is not exactly as wanted, and can always be taken up again.

    Ctrl-C finishes the batch in hand, then stops.
    """
    from . import live

    if resume is not None and resume != NEWEST and not ID.fullmatch(resume):
        layout, resume = (resume, *layout), NEWEST  # `--resume FILE NAME`
    roll, notes = _begun(layout, options) if resume is None else _taken_up(layout, resume, options)
    raise click.exceptions.Exit(live.follow(roll, as_json=as_json, diff=diff, notes=notes))


def _begun(layout: tuple[str, ...], options: dict[str, Any]) -> tuple[Roll, list[str]]:
    from ..fleet.roll import Request, rollout

    file, name = _named(layout)
    if not options["inventory"]:
        raise click.UsageError("Say where: -i INVENTORY.")
    given = {key: value for key, value in options.items() if value is not None}
    return rollout(Request(file=file, name=name, **given), way="cli"), []


def _taken_up(layout: tuple[str, ...], id: str, options: dict[str, Any]) -> tuple[Roll, list[str]]:
    from ..fleet.roll import Request, resume, taking_up

    file, name = _named(layout)
    refuse_fixed(options, "inventory", "limit", "extra", "pause_after")
    roll = resume(
        None if id == NEWEST else id,
        extra=options["extra"],
        pause_after=options["pause_after"],
        like=Request(inventory=options["inventory"], file=file, name=name, limit=options["limit"]),
        way="cli",
    )
    note = roll.story and taking_up.differs_now(roll.story)
    return roll, [note] if note else []


def _named(layout: tuple[str, ...]) -> tuple[str | None, str | None]:
    if len(layout) not in (0, 2):
        raise click.UsageError("Give FILE and NAME, or neither: then each node's layout is that of the inventory.")
    return (layout[0], layout[1]) if layout else (None, None)
