"""`migprov verify`."""

from __future__ import annotations

from typing import Any

import click

from .results import Told
from .where import chosen, each_option, where_options
from .work import work


@click.command("verify", short_help="check that every GPU is exactly as a layout says")
@click.argument("file", required=False)
@click.argument("name", required=False)
@where_options
@click.option("--cuda", is_flag=True, help="Also allocate, set and read back memory on every device.")
@each_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(file: str | None, name: str | None, cuda: bool, each: bool, as_json: bool, **where: Any) -> None:
    """Check that the nodes are exactly as the layout NAME of the layout file FILE says.

    Without FILE and NAME each host is to be as the inventory says: mig_layout, with mig_layouts_file.

    Exit code 0 only when every node is. Never changes anything.
    """
    places = chosen(**where)
    wanted = places.layouts(file, name)
    code = work(
        places,
        lambda node: node.verify(wanted(node.name), cuda=cuda),
        None if as_json else _told(),
        as_json=as_json,
        each=each,
        writes=False,
    )
    raise click.exceptions.Exit(code)


def _told() -> Told:
    from . import text  # rich is for people only

    return Told(text.node_verdict, text.node_verdict, ("as wanted", lambda result: not result.failed))
