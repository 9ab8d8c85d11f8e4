"""`migprov rollback`."""

from __future__ import annotations

from typing import Any

import click

from ..result import Result
from . import output
from .draining import drain_options, draining
from .where import chosen, where_options
from .work import work


@click.command("rollback", short_help="back to the layout before the last change")
@where_options
@drain_options
@click.option("--check", is_flag=True, help="Print the steps that would be done; write nothing.")
@click.option("--diff", is_flag=True, help="Print the layout before and after.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(check: bool, diff: bool, as_json: bool, **options: Any) -> None:
    """Bring the nodes back to the MIG mode and the placements before the last change of each.

    A rollback is a change too: a second one goes forward again. `migprov history` lists the changes.
    """
    how = draining(options)

    def show(results: list[Result]) -> None:
        from . import text  # rich is for people only

        output.show(text.changes(results, diff=diff))

    code = work(
        chosen(**options),
        lambda node: node.rollback(check=check, **how.keywords),
        show,
        as_json=as_json,
        writes=not check,
    )
    raise click.exceptions.Exit(code)
