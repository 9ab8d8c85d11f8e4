"""`migprov rollout`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from ..mig.drain import REFUSE, TERMINATE, WAIT
from .draining import LONGEST_S

if TYPE_CHECKING:
    from ..fleet.roll import Roll

_NEWEST = "newest"
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", re.ASCII)
CANARY = "canary"


class _Batches(click.ParamType[int]):
    """A number of batches; `canary` is 1."""

    name = "batches"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == CANARY:
            return 1
        if str(value).isascii() and str(value).isdecimal() and int(value) > 0:
            return int(value)
        self.fail(f"{value!r} is neither a number of batches nor {CANARY!r}", param, ctx)


@click.command("rollout", short_help="move a fleet to a layout, one batch after another")
@click.argument("layout", nargs=-1, metavar="[FILE NAME]")
@click.option(
    "-i", "--inventory", multiple=True, metavar="INVENTORY", help="Ansible inventory; several of them count as one."
)
@click.option("--limit", metavar="PATTERN", help="Only these hosts of the inventory.")
@click.option("--steps", metavar="SIZES", help="Batch sizes, the last one repeats.  [default: 1,10%,25%]")
@click.option(
    "--check", is_flag=True, help="Look at every node and say what would change in which batch; write nothing."
)
@click.option("--diff", is_flag=True, help="Print the layout of each node before and after.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[ID]",
    help="Go on with the newest roll that is not ended, or that one.",
)
@click.option("--pause-after", type=_Batches(), metavar="N|canary", help="Stop after so many batches, to go on later.")
@click.option(
    "--max-unavailable",
    multiple=True,
    metavar="[GROUP:]N|P%",
    help="So many nodes of the group, or of all, may be out of service at once.",
)
@click.option(
    "--floor", multiple=True, metavar="PROFILE=N", help="So many instances of the profile stay in service in the fleet."
)
@click.option(
    "--drain",
    type=click.Choice((REFUSE, WAIT, TERMINATE)),
    help="Work in the way: name it and stay away, wait for its end, or end it.  [default: the inventory's, or refuse]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=LONGEST_S),
    metavar="S",
    help="Seconds that 'wait' and 'terminate' give the work of a node.",
)
@click.option(
    "--soak",
    type=click.FloatRange(min=0, max=LONGEST_S),
    metavar="S",
    help="Seconds to watch a batch before the next; its health is asked for again then.",
)
@click.option("-e", "--extra-vars", "extra", multiple=True, metavar="VAR=VALUE", help="As for ansible-playbook.")
@click.option("--forks", type=click.IntRange(min=1), help="How many nodes at once.")
@click.option("--json", "as_json", is_flag=True, help="What happens, one JSON object a line.")
def command(layout: tuple[str, ...], resume: str | None, as_json: bool, diff: bool, **options: Any) -> None:
    """Move the nodes of INVENTORY to the layout NAME of the layout file FILE, or to the inventory's own layouts.

    Every node is looked at before the first change. Then one batch changes after another: a canary, then more at once.
    The roll stops at the first node that is not exactly as wanted, and can always be taken up again.

    Ctrl-C finishes the batch in hand, then stops.
    """
    from . import live

    if resume is not None and resume != _NEWEST and not _ID.fullmatch(resume):
        layout, resume = (resume, *layout), _NEWEST  # `--resume FILE NAME`
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
    free = ("inventory", "limit", "extra", "pause_after")
    fixed = [key for key, value in options.items() if value and key not in free]
    if fixed:
        flags = ", ".join("--" + key.replace("_", "-") for key in fixed)
        raise click.UsageError(f"A roll goes on with the options that it was begun with; {flags} cannot be given now.")
    roll = resume(
        None if id == _NEWEST else id,
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
