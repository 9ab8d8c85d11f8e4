"""`migprov info`."""

from __future__ import annotations

from typing import Any

import click

from .results import Told
from .where import chosen, each_option, where_options
from .work import work


@click.command("info", short_help="what the GPUs are, how they are cut, who holds them")
@where_options
@each_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(as_json: bool, each: bool, **where: Any) -> None:
    """Show the GPUs of the nodes: product, memory, MIG mode, instances, and the processes that hold them.

    Never changes anything.
    """
    code = work(
        chosen(**where),
        lambda node: node.info(),
        None if as_json else _told(),
        as_json=as_json,
        each=each,
        writes=False,
    )
    raise click.exceptions.Exit(code)


def _told() -> Told:
    from . import text  # rich is for people only
    from .folded import Gpus, brief_info

    gpus = Gpus()
    good = ("answered", lambda result: not result.failed)
    return Told(text.node_info, brief_info, good, gpus.add, gpus.in_words)
