"""Where a command works: the nodes of an inventory, or this machine."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .numbers import LONGEST_S, Number

if TYPE_CHECKING:
    from ..connect.target import Target
    from ..fleet.inventory import Inventory
    from ..layouts import Layout

FORKS = 32
"""How many nodes are worked on at once, unless said otherwise."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass
class Where:
    """The answer to `-i INVENTORY... [--limit PATTERN] [--forks N]` or `--local`; times are in seconds or None."""

    inventories: tuple[str, ...]
    limit: str | None
    forks: int
    local: bool
    call_timeout: float | None
    node_timeout: float | None

    @cached_property
    def inventory(self) -> Inventory:
        """The inventory, read once.

        Raises:
            InventoryError: it cannot be used, or no host matches.
        """
        # Ansible's modules stay to the end of the command, and are so many objects that the garbage collector, which
        # would look through them while they are loaded and afterwards, takes a sixth of a short command's time.
        gc.disable()
        try:
            from ..fleet.inventory import open_inventory

            return open_inventory(self.inventories, self.limit, note=lambda text: click.echo(f"Note: {text}", err=True))
        finally:
            gc.freeze()
            gc.enable()

    def targets(self) -> list[Target]:
        """The nodes. Contacts none.

        Raises:
            InventoryError: the inventory cannot be used, or no host matches.
        """
        if self.local:
            from ..connect.target import Target

            found = [Target("localhost", connection="local")]
        else:
            found = self.inventory.targets()
        if self.call_timeout is None:
            return found
        return [replace(target, timeout=self.call_timeout) for target in found]

    def layouts(self, file: str | None, name: str | None) -> Callable[[str], Layout]:
        """Which layout a node is to have: NAME of FILE, or without them what the inventory gives each host.

        Raises:
            LayoutFileError, InventoryError: a layout cannot be used, or a host has none. Nothing was contacted.
            click.UsageError: there is no inventory that could say, or FILE came without NAME.
        """
        if file is None:
            if self.local:
                raise click.UsageError("Say which layout: FILE and NAME. Without them an inventory must say it (-i).")
            own = self.inventory.layouts()
            return lambda host: own[host].layout
        if name is None:
            raise click.UsageError("FILE and NAME go together: which layout of the file?")
        from ..layouts import load

        layout = load(file).layout(name)
        return lambda _host: layout


def where_options(command: _Command) -> _Command:
    """Give a command the options of *where*, and `--call-timeout`."""
    for option in reversed(
        (
            click.option(
                "-i",
                "--inventory",
                multiple=True,
                metavar="INVENTORY",
                help="Ansible inventory: file, folder, script, or 'host,host'. Several of them count as one.",
            ),
            click.option("--limit", metavar="PATTERN", help="Only these hosts of the inventory."),
            click.option("--forks", type=click.IntRange(min=1), help=f"How many nodes at once.  [default: {FORKS}]"),
            click.option("--local", is_flag=True, help="This machine, without SSH."),
            click.option(
                "--call-timeout",
                type=Number(min=0, min_open=True, max=LONGEST_S),
                metavar="S",
                help="Give up on a node that has not answered after S seconds, draining not counted; it is not ended.",
            ),
            click.option(
                "--node-timeout",
                type=Number(min=0, min_open=True, max=LONGEST_S),
                metavar="S",
                help="The same for connecting and the call together: after S seconds the next node begins.",
            ),
        )
    ):
        command = option(command)
    return command


def each_option(command: _Command) -> _Command:
    """Give a command `--each`."""
    return click.option(
        "--each", is_flag=True, help="Every node by itself; above 20 nodes those that say the same are told together."
    )(command)


def chosen(
    inventory: Sequence[str],
    limit: str | None,
    forks: int | None,
    local: bool,
    call_timeout: float | None,
    node_timeout: float | None,
) -> Where:
    """What the options of `where_options` say.

    Raises:
        click.UsageError: not exactly one of `-i` and `--local`, or an option that goes only with `-i`.
    """
    if local == bool(inventory):
        raise click.UsageError("Say where: either -i INVENTORY or --local" + (", not both." if local else "."))
    if local and (limit is not None or forks is not None):
        raise click.UsageError("--limit and --forks go with -i INVENTORY, not with --local.")
    return Where(tuple(inventory), limit, FORKS if forks is None else forks, local, call_timeout, node_timeout)
