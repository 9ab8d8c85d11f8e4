"""`migprov layouts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from . import exits, output

if TYPE_CHECKING:
    from ..layouts import Verdict


@click.command("layouts", short_help="what stands in a layout file, and on which GPUs it can be made; asks no node")
@click.argument("file")
@click.argument("name", required=False)
@click.option(
    "--product", "products", multiple=True, metavar="PRODUCT", help="Such as A100-80GB; again for more.  [default: all]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a layout and product, one a line.")
def command(file: str, name: str | None, products: tuple[str, ...], as_json: bool) -> None:
    """List the layouts of the layout file FILE, and for each on which GPUs it can be made, and why not on others.

    With --product it is a check: exit code 0 when the layout NAME, or else every layout, can be made on every PRODUCT,
    and 1 otherwise. With NAME alone it is one too: some GPU must do.

    Contacts no node. What GPUs can be cut into is that of migprov's own table; a card's own answers overrule it later.
    """
    from ..layouts import load, possible, product, product_names

    read = load(file)
    chosen = [read.layout(name)] if name is not None else list(read.layouts.values())
    on = [product(each) for each in dict.fromkeys(products or product_names())]
    verdicts = [[possible(layout, each) for each in on] for layout in chosen]
    if as_json:
        output.print_objects(verdict.to_json() for of_layout in verdicts for verdict in of_layout)
    else:
        output.write("".join(f"{line}\n" for of_layout in verdicts for line in _lines(of_layout)))
    bad = [verdict for of_layout in verdicts for verdict in of_layout if not verdict.possible]
    wrong = bool(bad) if products else name is not None and len(bad) == len(on)
    raise click.exceptions.Exit(exits.BAD_REQUEST if wrong else exits.DONE)


def _lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """One layout on each product."""
    name = verdicts[0].layout
    yield name if name.isprintable() else repr(name)  # a file can hold what a terminal would obey
    good = ", ".join(_of(verdict) for verdict in verdicts if verdict.possible)
    if good:
        yield f"  can be made on {good}"
    for verdict in verdicts:
        for problem in verdict.problems:
            yield f"  not on {verdict.product}: {problem}"


def _of(verdict: Verdict) -> str:
    """The product, with the boards where the layout is not for all of them."""
    from ..layouts import product

    some = len(verdict.device_ids) < len(product(verdict.product).device_ids)
    return f"{verdict.product} ({', '.join(verdict.device_ids)} only)" if some else verdict.product
