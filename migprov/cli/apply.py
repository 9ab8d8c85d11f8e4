"""`migprov apply`."""

from __future__ import annotations

from typing import Any

import click

from ..result import Result
from . import output
from .draining import drain_options, draining
from .where import chosen, where_options
from .work import work


@click.command("apply", short_help="bring the GPUs to a layout, touching only what must change")
@click.argument("file")
@click.argument("name")
@where_options
@drain_options
@click.option("--check", is_flag=True, help="Print the steps that would be done; write nothing.")
@click.option("--diff", is_flag=True, help="Print the layout before and after.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(file: str, name: str, check: bool, diff: bool, as_json: bool, **options: Any) -> None:
    """Bring the nodes to the layout NAME of the layout file FILE.

    Instances that the layout can use stay as they are, and a second run changes nothing. A layout that a GPU
    cannot have is refused before the first write to any of them; a GPU that is in use where it must change is refused
    by itself, or emptied first (--drain).
    """
    from ..layouts import load

    how = draining(options)
    places = chosen(**options)
    layout = load(file).layout(name)

    def show(results: list[Result]) -> None:
        from . import text  # rich is for people only

        output.show(text.changes(results, diff=diff))

    code = work(
        places,
        lambda node: node.layout(layout, check=check, **how.keywords),
        show,
        as_json=as_json,
        writes=not check,
    )
    raise click.exceptions.Exit(code)
