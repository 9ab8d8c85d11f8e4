"""Where a command works: the nodes of an inventory, or this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..connect.target import Target

FORKS = 32
"""How many nodes are worked on at once, unless said otherwise."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Where:
    """The answer to `-i INVENTORY [--limit PATTERN] [--forks N]` or `--local`; `call_timeout` in seconds or None."""

    inventory: str | None
    limit: str | None
    forks: int
    local: bool
    call_timeout: float | None

    def targets(self) -> list[Target]:
        """The nodes. Contacts none.

        Raises:
            InventoryError: the inventory cannot be used, or no host matches.
        """
        if self.inventory is None:
            from ..connect.target import Target

            found = [Target("localhost", connection="local")]
        else:
            from ..fleet.inventory import read

            found = read(self.inventory, self.limit, note=lambda text: click.echo(f"Note: {text}", err=True))
        if self.call_timeout is None:
            return found
        return [replace(target, timeout=self.call_timeout) for target in found]


def where_options(command: _Command) -> _Command:
    """Give a command the options of *where*, and `--call-timeout`."""
    for option in reversed(
        (
            click.option(
                "-i",
                "--inventory",
                metavar="INVENTORY",
                help="Ansible inventory: file, folder, script, or 'host,host'.",
            ),
            click.option("--limit", metavar="PATTERN", help="Only these hosts of the inventory."),
            click.option("--forks", type=click.IntRange(min=1), help=f"How many nodes at once.  [default: {FORKS}]"),
            click.option("--local", is_flag=True, help="This machine, without SSH."),
            click.option(
                "--call-timeout",
                type=click.FloatRange(min=0, min_open=True),
                metavar="S",
                help="Give up on a node that has not answered after S seconds, draining not counted; it is not ended.",
            ),
        )
    ):
        command = option(command)
    return command


def chosen(
    inventory: str | None, limit: str | None, forks: int | None, local: bool, call_timeout: float | None
) -> Where:
    """What the options of `where_options` say.

    Raises:
        click.UsageError: not exactly one of `-i` and `--local`, or an option that goes only with `-i`.
    """
    if local == (inventory is not None):
        raise click.UsageError("Say where: either -i INVENTORY or --local" + (", not both." if local else "."))
    if local and (limit is not None or forks is not None):
        raise click.UsageError("--limit and --forks go with -i INVENTORY, not with --local.")
    return Where(inventory, limit, FORKS if forks is None else forks, local, call_timeout)
