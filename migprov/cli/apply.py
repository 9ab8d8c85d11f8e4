"""`migprov apply`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from .draining import drain_options, draining
from .results import Told
from .where import chosen, each_option, where_options
from .work import work


@click.command("apply", short_help="bring the GPUs to a layout, touching only what must change")
@click.argument("file", required=False)
@click.argument("name", required=False)
@where_options
@drain_options
@click.option("--check", is_flag=True, help="Print the steps that would be done; write nothing.")
@click.option("--diff", is_flag=True, help="Print the layout before and after.")
@each_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(
    file: str | None, name: str | None, check: bool, diff: bool, each: bool, as_json: bool, **options: Any
) -> None:
    """Bring the nodes to the layout NAME of the layout file FILE.

    Without FILE and NAME each host gets what the inventory says: mig_layout, with mig_layouts_file.

    Instances that the layout can use stay as they are, and a second run changes nothing. A layout that a GPU
    cannot have is refused before the first write to any of them; a GPU that is in use where it must change is refused
    by itself, or emptied first (--drain).
    """
    how = draining(options)
    places = chosen(**options)
    wanted = places.layouts(file, name)
    code = work(
        places,
        lambda node: node.layout(wanted(node.name), check=check, **how.keywords),
        None if as_json else _told(diff, check),
        as_json=as_json,
        each=each,
        writes=not check,
    )
    raise click.exceptions.Exit(code)


def _told(diff: bool, check: bool) -> Told:
    from . import text  # rich is for people only

    say = partial(text.node_changes, diff=diff)
    word = "would change" if check else "changed"
    return Told(say, say, (word, lambda result: result.changed and not result.failed))
