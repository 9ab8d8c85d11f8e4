"""`migprov history`."""

from __future__ import annotations

from typing import Any

import click

from ..result import Result
from . import output
from .where import chosen, where_options
from .work import work


@click.command("history", short_help="the changes of a node: when, who, from, to, result")
@where_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line, with its 'changes'.")
def command(as_json: bool, **where: Any) -> None:
    """List the changes that were made to the nodes, oldest first, out of the journal that each node keeps.

    Never changes anything. The journal is that of the user who makes the changes (root, with become).
    """

    def show(results: list[Result]) -> None:
        from . import timeline  # rich is for people only

        output.show(timeline.timelines(results))

    code = work(
        chosen(**where),
        lambda node: node.history(),
        show,
        as_json=as_json,
        writes=False,
    )
    raise click.exceptions.Exit(code)
