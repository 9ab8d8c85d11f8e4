"""The options that say what happens to work in the way of a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ..mig.drain import REFUSE, TERMINATE, WAIT
from .numbers import LONGEST_S, Number

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Draining:
    """The answer to `--drain`, `--timeout` (seconds; None: the node's default) and `--stop-on-error`."""

    drain: str
    timeout: float | None
    stop_on_error: bool

    @property
    def keywords(self) -> dict[str, Any]:
        """What the methods of a node that change take."""
        return {"drain": self.drain, "drain_timeout": self.timeout, "stop_on_error": self.stop_on_error}


def drain_options(command: _Command) -> _Command:
    """Give a command that changes nodes `--drain`, `--timeout` and `--stop-on-error`."""
    for option in reversed(
        (
            click.option(
                "--drain",
                type=click.Choice((REFUSE, WAIT, TERMINATE)),
                default=REFUSE,
                show_default=True,
                help="Work in the way: name it and stay away, wait for its end, or end it (SIGTERM, then SIGKILL).",
            ),
            click.option(
                "--timeout",
                type=Number(min=0, max=LONGEST_S),
                metavar="S",
                help="Seconds that 'wait' and 'terminate' give the work of a node, all of it together.  [default: 300]",
            ),
            click.option(
                "--stop-on-error",
                is_flag=True,
                help="One GPU that cannot have its layout keeps the node's other GPUs as they are.",
            ),
        )
    ):
        command = option(command)
    return command


def draining(options: dict[str, Any]) -> Draining:
    """Take what the options of `drain_options` say out of a command's options."""
    return Draining(options.pop("drain"), options.pop("timeout"), options.pop("stop_on_error"))
