"""`migprov export`."""

from __future__ import annotations

from typing import Any

import click

from ..result import Result
from . import exits, output
from .where import chosen, where_options
from .work import work

_SINGLE = "current"


@click.command("export", short_help="the present layout, as a layout file")
@where_options
@click.option(
    "--compatible", is_flag=True, help="Counts only, as mig-parted reads them; refused where they cannot say it."
)
def command(compatible: bool, **where: Any) -> None:
    """Print the present layout of the nodes as a layout file: `current`, or for several nodes one layout a node.

    Nodes that do not answer are named on standard error and left out. Never changes anything.
    """
    places = chosen(**where)
    code = work(
        places,
        lambda node: node.info(processes=False),
        lambda results: _print(results, single=len(results) == 1, compatible=compatible),
        as_json=False,
        writes=False,
    )
    raise click.exceptions.Exit(code)


def _print(results: list[Result], *, single: bool, compatible: bool) -> None:
    from ..errors import BadRequest, MigprovError
    from ..layouts import export, export_many

    for result in results:
        if result.failed:
            exits.tell_node(result)
    states = {result.host: result.after or {} for result in results if not result.failed}
    if not states:
        return
    try:
        if single:
            ((host, state),) = states.items()
            output.write(export(state, _SINGLE, compatible=compatible))
        else:
            output.write(export_many(states, compatible=compatible))
    except BadRequest as error:
        # It is about what the nodes are, which was asked for rightly.
        message = f"{host}: {error.message.removeprefix(f'{_SINGLE}: ')}" if single else error.message
        raise MigprovError(message, next=error.next) from None
