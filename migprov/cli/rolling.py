"""What the commands that roll share: their options, and one object a node at the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from .numbers import LONGEST_S, Number

NEWEST = "newest"
CANARY = "canary"
ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", re.ASCII)
_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Batches(click.ParamType[int]):
    """A number of batches; `canary` is 1."""

    name = "batches"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == CANARY:
            return 1
        if str(value).isascii() and str(value).isdecimal() and int(value) > 0:
            return int(value)
        self.fail(f"{value!r} is neither a number of batches nor {CANARY!r}", param, ctx)


def rolling_options(command: _Command) -> _Command:
    """Give a command `--steps`, `--resume`, `--pause-after`, `--max-unavailable`, `--floor`, `--soak` and `-e`."""
    for option in reversed(
        (
            click.option("--steps", metavar="SIZES", help="Batch sizes, the last one repeats.  [default: 1,10%,25%]"),
            click.option(
                "--resume",
                is_flag=False,
                flag_value=NEWEST,
                metavar="[ID]",
                help="Go on with the newest roll that is not ended, or that one.",
            ),
            click.option(
                "--pause-after",
                type=_Batches(),
                metavar="N|canary",
                help="Stop after so many batches, to go on later.",
            ),
            click.option(
                "--max-unavailable",
                multiple=True,
                metavar="[GROUP:]N|P%",
                help="So many nodes of the group, or of all, may be out of service at once.",
            ),
            click.option(
                "--floor",
                multiple=True,
                metavar="PROFILE=N",
                help="So many instances of the profile stay in service in the fleet.",
            ),
            click.option(
                "--soak",
                type=Number(min=0, max=LONGEST_S),
                metavar="S",
                help="Seconds to watch a batch before the next; its health is asked for again then.",
            ),
            click.option(
                "-e", "--extra-vars", "extra", multiple=True, metavar="VAR=VALUE", help="As for ansible-playbook."
            ),
        )
    ):
        command = option(command)
    return command


def refuse_fixed(options: dict[str, Any], *free: str) -> None:
    """Refuse options of a roll that goes on which are neither `free` nor those that it was begun with.

    Raises:
        click.UsageError: there are some.
    """
    fixed = [key for key, value in options.items() if value and key not in free]
    if fixed:
        flags = ", ".join("--" + key.replace("_", "-") for key in fixed)
        raise click.UsageError(f"A roll goes on with the options that it was begun with; {flags} cannot be given now.")
