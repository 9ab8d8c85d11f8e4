"""`migprov verify`."""

from __future__ import annotations

from typing import Any

import click

from ..result import Result
from . import output
from .where import chosen, where_options
from .work import work


@click.command("verify", short_help="check that every GPU is exactly as a layout says")
@click.argument("file")
@click.argument("name")
@where_options
@click.option("--cuda", is_flag=True, help="Also allocate, set and read back memory on every device.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(file: str, name: str, cuda: bool, as_json: bool, **where: Any) -> None:
    """Check that the nodes are exactly as the layout NAME of the layout file FILE says.

    Exit code 0 only when every node is. Never changes anything.
    """
    from ..layouts import load

    places = chosen(**where)
    layout = load(file).layout(name)

    def show(results: list[Result]) -> None:
        from . import text  # rich is for people only

        output.show(text.verdicts(results))

    code = work(
        places,
        lambda node: node.verify(layout, cuda=cuda),
        show,
        as_json=as_json,
        writes=False,
    )
    raise click.exceptions.Exit(code)
