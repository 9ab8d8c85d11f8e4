"""`migprov status`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import output

if TYPE_CHECKING:
    from ..fleet.roll.drained import Drained
    from ..fleet.roll.standing import Standing

_RECENT = 10


@click.command("status", short_help="the rolls of this machine: how far they are, and what to do next")
@click.option("-i", "--inventory", multiple=True, metavar="INVENTORY", help="Also ask its schedulers who is drained.")
@click.option("--limit", metavar="PATTERN", help="Only these hosts of the inventory.")
@click.option("--all", "all_", is_flag=True, help=f"Also ended rolls older than the newest {_RECENT}.")
@click.option("--give-up", metavar="ID", help="End that roll, which is never to be gone on with. No node is contacted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(inventory: tuple[str, ...], limit: str | None, all_: bool, give_up: str | None, as_json: bool) -> None:
    """Show the rolls that were begun on this machine by this user, and the next command to type.

    With -i the schedulers of the inventory's nodes are asked which nodes migprov has drained and not given back. Never
    changes anything.
    """
    from ..fleet.roll.standing import standings

    if limit is not None and not inventory:
        raise click.UsageError("--limit goes with -i INVENTORY.")
    if give_up is not None:
        from ..fleet.roll import claim, folder

        claim.give_up(folder.rolls_folder(), give_up)
    rolls = standings()
    if not all_:
        recent = {roll.id for roll in rolls[-_RECENT:]}
        rolls = [roll for roll in rolls if roll.state != "ended" or roll.id in recent]
    drained: list[Drained] = []
    problems: list[str] = []
    if inventory:
        from ..fleet.roll.drained import drained_by_migprov

        drained, problems = drained_by_migprov(inventory, limit)
    if as_json:
        told: dict[str, Any] = {"rolls": [roll.to_json() for roll in rolls]}
        if inventory:
            told |= {"drained": [vars(node) for node in drained], "problems": problems}
        output.write(json.dumps(told) + "\n")
    else:
        output.write("".join(f"{line}\n" for line in _lines(rolls)))
        if inventory:
            output.write("".join(f"{line}\n" for line in _drained(drained)))
        for problem in problems:
            click.echo(f"Error: {problem}", err=True)
    raise click.exceptions.Exit(2 if problems else 0)


def _lines(rolls: Sequence[Standing]) -> Iterator[str]:
    if not rolls:
        yield "No rolls were begun on this machine by this user."
    for roll in rolls:
        how = f" ({roll.result})" if roll.result else ""
        yield f"{roll.id}  {roll.layout}: {roll.state}{how}"
        yield f"  begun {roll.begun} by {roll.who}"
        yield f"  {len(roll.done)} done, {len(roll.failed)} failed, {len(roll.left)} left, {len(roll.in_hand)} in hand"
        if roll.reason and roll.state != "ended":
            yield f"  {roll.reason}"
        if roll.in_hand:
            yield f"  in hand: {', '.join(roll.in_hand)}"
        if roll.failed:
            yield f"  failed: {', '.join(roll.failed)}"
        if roll.playbook is not None and roll.state != "running":
            yield f"  its ansible-playbook (process {roll.playbook}) is still at work by itself"
        if roll.maybe_drained:
            yield f"  a scheduler may still keep away: {', '.join(roll.maybe_drained)}"
        if roll.damaged:
            yield f"  {roll.damaged} {'line' if roll.damaged == 1 else 'lines'} of its record cannot be read"
        if roll.next:
            yield f"  Next: {roll.next}"


def _drained(nodes: Sequence[Drained]) -> Iterator[str]:
    if not nodes:
        yield "No node of the inventory is drained by migprov."
    for node in nodes:
        yield f"{node.host}: {node.scheduler} keeps {node.node} away for migprov: {node.reason}"
