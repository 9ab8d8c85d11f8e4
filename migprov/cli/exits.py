"""The exit codes, which are a contract, and the one place where errors become text."""

from __future__ import annotations

import os
from collections.abc import Iterable

import click

from ..errors import BadRequest, MigprovError, SourceUnreachable
from ..result import Result

DONE = 0
"""Done, or nothing to do."""
BAD_REQUEST = 1
"""The request is wrong (usage, a layout file, an inventory). Nothing was contacted or changed."""
FAILED = 2
"""A node failed or refused. Also where others were unreachable: the worse news wins. Also where the answer itself could
not be written (a full disk)."""
UNREACHABLE = 4
"""One or more nodes were unreachable, and no other failed."""
INTERRUPTED = 130
"""Ended with Ctrl-C."""


def of_results(results: Iterable[Result]) -> int:
    """The exit code that the results of all nodes amount to."""
    failed = [result for result in results if result.failed]
    if any(not result.unreachable for result in failed):
        return FAILED
    return UNREACHABLE if failed else DONE


def of_error(error: MigprovError) -> int:
    """The exit code of an error that ended the command."""
    if isinstance(error, SourceUnreachable):
        return UNREACHABLE
    return BAD_REQUEST if isinstance(error, BadRequest) else FAILED


def tell(error: MigprovError) -> None:
    """Print an error on standard error: what is wrong, then what to do about it."""
    hint = error.next or ""
    _tell(str(error).removesuffix(f" Next: {hint}") if hint else str(error), hint)


def tell_node(result: Result) -> None:
    """Print on standard error why a node failed."""
    error = result.error or {}
    message = str(error.get("message") or "no message").removeprefix(f"{result.host}: ")
    _tell(f"{result.host}: {message}", str(error.get("next") or ""))


def _tell(message: str, hint: str) -> None:
    colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    click.echo(f"{click.style('Error:', fg='red') if colour else 'Error:'} {message}", err=True)
    if hint and hint not in message:
        click.echo(f"Next: {hint}", err=True)
