"""`migprov advise`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from . import exits, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..capacity.advise import Advice
    from ..capacity.products import ProductData

_NO_MIG = "none"
_SCHEDULERS = ("kubernetes", "slurm")


@click.command("advise", short_help="whole card, MIG, MPS or time-slicing: what suits each workload, and why")
@click.argument("workloads", required=False, metavar="WORKLOADS.yml")
@click.option(
    "--product",
    "products",
    multiple=True,
    metavar="PRODUCT",
    help="The product of the cards, such as A100-80GB, or 'none' for one without MIG. Several: advice for each.",
)
@click.option("--scheduler", type=click.Choice(_SCHEDULERS), help="What hands out the GPUs, if anything does.")
@click.option("--mig-in-use", is_flag=True, help="The nodes run MIG already.")
@click.option("--audit", metavar="FILE", help="What 'migprov audit --json' printed: how busy workloads are.")
@click.option("--rules", is_flag=True, help="Print the rules and their sources, and do nothing else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a workload and product, one a line.")
def command(
    workloads: str | None,
    products: tuple[str, ...],
    scheduler: str | None,
    mig_in_use: bool,
    audit: str | None,
    rules: bool,
    as_json: bool,
) -> None:
    """Say for each workload of WORKLOADS.yml whether a whole card, MIG, MPS or time-slicing suits it.

    Reads files only. Exit code 2 when no card of a product is enough for a workload.
    """
    from ..capacity import advise, busy, workloads_file

    if rules:
        _print_rules()
        return
    if workloads is None or not products:
        raise click.UsageError("Say for what: WORKLOADS.yml and --product PRODUCT.")
    chosen = [_product(name) for name in dict.fromkeys(products)]
    wanted = workloads_file.load(workloads).workloads
    context = advise.Context(
        scheduler,  # type: ignore[arg-type]  # click lets no other through
        mig_in_use,
        {} if audit is None else busy.load(audit),
    )
    found = [advise.advise(workload, product, context) for workload in wanted for product in chosen]
    if as_json:
        output.print_objects(each.to_json() for each in found)
    else:
        output.show(_told(found))
    raise click.exceptions.Exit(exits.FAILED if any(each.strategy == "none" for each in found) else exits.DONE)


def _product(name: str) -> ProductData | None:
    from ..capacity.products import product

    return None if name == _NO_MIG else product(name)


def _told(found: Sequence[Advice]) -> list[RenderableType]:
    from rich.table import Table

    table = Table("workload", "product", "advice", "each on", box=None, pad_edge=False)
    for each in found:
        where = each.profile or ("whole card" if each.strategy != "none" else "-")
        shared = f"{where}, {each.clients} together" if each.clients else where
        table.add_row(each.workload, each.product or _NO_MIG, each.strategy, shared)
    parts: list[RenderableType] = [table, ""]
    several = len({each.product for each in found}) > 1
    for each in found:
        name = f"On {each.product or _NO_MIG}, {each.reason}" if several else each.reason
        parts.append(" ".join((name, *each.also)))
    return parts


def _print_rules() -> None:
    from ..capacity.advise import table

    deciding, adding, sources = table()
    lines = []
    for rule in (*deciding, *adding):
        what = f"-> {rule.then}" if rule.then else "(adds)"
        lines.append(f"{rule.name} {what} [{', '.join(rule.sources)}]\n    {rule.because}")
    lines += ["", *(" ".join(part for part in (f"[{key}]", *each) if part) for key, each in sources.items())]
    output.write("\n".join(lines) + "\n")
