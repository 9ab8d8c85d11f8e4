"""`migprov info`."""

from __future__ import annotations

from typing import Any

import click

from ..result import Result
from . import output
from .where import chosen, where_options
from .work import work


@click.command("info", short_help="what the GPUs are, how they are cut, who holds them")
@where_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(as_json: bool, **where: Any) -> None:
    """Show the GPUs of the nodes: product, memory, MIG mode, instances, and the processes that hold them.

    Never changes anything.
    """

    def show(results: list[Result]) -> None:
        from . import text  # rich is for people only

        output.show(text.info(results))

    code = work(
        chosen(**where),
        lambda node: node.info(),
        show,
        as_json=as_json,
        writes=False,
    )
    raise click.exceptions.Exit(code)
