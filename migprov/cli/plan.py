"""`migprov plan`."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from ..result import Result
from . import exits, out_files, output
from .numbers import Number
from .where import Where, chosen, where_options
from .work import work

if TYPE_CHECKING:
    from ..capacity.explain import Explanation
    from ..capacity.model import Workload
    from ..capacity.planning import Options, Planned

_EXPLAINED = 5
"""So many different cards are explained unasked."""


@click.command("plan", short_help="workloads on the fewest cards: a layout for each node, proven")
@click.argument("workloads", required=False, metavar="WORKLOADS.yml")
@where_options
@click.option("--fleet", metavar="FILE", help="A fleet on paper instead of nodes: what if?")
@click.option("--as", "as_product", metavar="PRODUCT", help="What if all cards of the nodes were of this product?")
@click.option("-o", "--out", metavar="LAYOUTS.yml", help="Write the layouts that the nodes need, for 'migprov apply'.")
@click.option(
    "--inventory-out", metavar="FILE", help="Write which node gets which of them, in order, for 'migprov rollout'."
)
@click.option("--force", is_flag=True, help="Overwrite the files of -o and --inventory-out.")
@click.option(
    "--least",
    type=click.Choice(("cards", "cost")),
    default="cards",
    show_default=True,
    help="What there shall be least of.",
)
@click.option(
    "--reserve-per-node",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="So many cards of each node stay free.",
)
@click.option("--price", type=Number(min=0, max=1e12), metavar="MONEY", help="What a card costs an hour.")
@click.option("--prices", metavar="FILE", help="The same by product: lines such as 'A100-80GB: 2.0'.")
@click.option("--explain", is_flag=True, help="The ways to cut every card that is cut, not only of those that change.")
@click.option("--each", is_flag=True, help="Every node by itself, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="The plan as one JSON object.")
@click.option(
    "--schema",
    is_flag=False,
    flag_value="workloads",
    type=click.Choice(("workloads", "fleet")),
    help="Print the JSON Schema of workloads files, or of fleet files, and do nothing else.",
)
def command(workloads: str | None, schema: str | None, **options: Any) -> None:
    """Place the workloads of WORKLOADS.yml on the fewest cards of the nodes, or on the cheapest.

    Reads the nodes and never changes one. Prints what goes where, what is freed, and the bound that proves how good the
    plan is. Exit code 2 when something has no place.
    """
    if schema is not None:
        _print_schema(schema)
        return
    if workloads is None:
        raise click.UsageError("Say what has to be placed: WORKLOADS.yml.")
    raise click.exceptions.Exit(_plan(workloads, **options))


def _plan(
    workloads: str,
    *,
    fleet: str | None,
    out: str | None,
    inventory_out: str | None,
    force: bool,
    explain: bool,
    each: bool,
    as_json: bool,
    **options: Any,
) -> int:
    from ..capacity import workloads_file

    named = {key: options.pop(key) for key in ("least", "reserve_per_node", "price", "prices", "as_product")}
    places = _where(fleet, options)
    if inventory_out is not None and out is None:
        raise click.UsageError("--inventory-out names the layouts that -o writes: give -o too.")
    if inventory_out is not None and os.path.splitext(inventory_out)[1] not in ("", ".yml", ".yaml"):
        raise click.UsageError("--inventory-out: Ansible takes a file for YAML when its name ends in .yml or .yaml.")
    if named["as_product"] is not None and (out is not None or fleet is not None):
        raise click.UsageError("--as is a what-if for nodes that are there: it goes with neither -o nor --fleet.")
    out_files.check([path for path in (out, inventory_out) if path is not None], force=force)
    wanted = workloads_file.load(workloads).workloads
    how = _options(named, places)
    code, planned = _of_paper(wanted, fleet, how) if fleet is not None else _of_nodes(wanted, places, how)
    if planned is None:
        return code
    _print(planned, explain=explain, each=each, as_json=as_json)
    if out is not None:
        _write(planned, out, inventory_out, places)
    return exits.FAILED if planned.plan.unplaced else code


def _where(fleet: str | None, options: dict[str, Any]) -> Where | None:
    if fleet is None:
        if not options["inventory"] and not options["local"]:
            raise click.UsageError("Say where: -i INVENTORY, --local, or --fleet FILE for a fleet on paper.")
        return chosen(**options)
    if any(value for value in options.values()):
        raise click.UsageError("--fleet is a fleet on paper: it goes with none of -i, --limit, --local and their like.")
    return None


def _options(named: dict[str, Any], places: Where | None) -> Options:
    from ..capacity import prices
    from ..capacity.planning import Options

    if named["price"] is not None and named["prices"] is not None:
        raise click.UsageError("--price and --prices are both given: keep one.")
    by_product = {} if named["prices"] is None else prices.load(named["prices"])
    of_host = None
    if places is not None and not places.local:
        inventory = places.inventory

        def of_host(host: str) -> Any:
            return inventory.variable(host, prices.VARIABLE)

    return Options(
        named["least"],
        named["reserve_per_node"],
        named["as_product"],
        prices.Prices(named["price"], by_product, of_host),
    )


def _of_paper(wanted: tuple[Workload, ...], fleet: str, how: Options) -> tuple[int, Planned]:
    from ..capacity import fleet_file, planning

    return exits.DONE, planning.of_cards(wanted, fleet_file.load(fleet), how)


def _of_nodes(wanted: tuple[Workload, ...], places: Where | None, how: Options) -> tuple[int, Planned | None]:
    from ..capacity import planning

    if places is None:
        raise AssertionError("either nodes or a fleet file")
    results: list[Result] = []
    code = work(places, lambda node: node.info(), results.extend, as_json=False, writes=False)
    if code == exits.INTERRUPTED:
        return code, None
    for result in results:
        if result.failed:
            exits.tell_node(result)
    if all(result.after is None for result in results):
        return code, None
    return code, planning.of_results(wanted, results, how)


def _print(planned: Planned, *, explain: bool, each: bool, as_json: bool) -> None:
    from ..capacity.explain import explanations

    explained: list[Explanation] = explanations(
        planned.plan, planned.workloads, everything=explain, most=None if explain else _EXPLAINED
    )
    if as_json:
        from ..capacity.plan_json import to_json

        output.write(json.dumps(to_json(planned, explained)) + "\n")
        return
    from . import plan_text  # rich is for people only

    output.show(plan_text.shown(planned, explained, each=each))


def _write(planned: Planned, out: str, inventory_out: str | None, places: Where | None) -> None:
    from ..capacity import planning

    layouts = planning.layouts_text(planned)
    inventory = planning.inventory_text(planned, out)
    if layouts is None or inventory is None:
        click.echo(f"Nothing has to change on any node, so {out} is not written.", err=True)
        return
    out_files.write(out, layouts)
    if inventory_out is None:
        click.echo(f"Written: {out}.", err=True)
        return
    out_files.write(inventory_out, inventory)
    click.echo(f"Written: {out}, {inventory_out}.", err=True)
    sources = list(places.inventories) if places is not None and places.inventories else ["INVENTORY"]
    overruled = [] if places is None or places.local else _own_layouts(planned, places)
    if overruled:
        names = ", ".join(overruled[:3]) + (f" and {len(overruled) - 3} more" if len(overruled) > 3 else "")
        click.echo(f"Note: the inventory gives {names} a layout of its own, which overrules the plan's.", err=True)
        click.echo("Next: take mig_layout and its like out of the inventory for these hosts.", err=True)
        return
    # Before the others: Ansible takes hosts in the order in which it hears of them.
    given = shlex.join(part for source in (inventory_out, *sources) for part in ("-i", source))
    click.echo(f"Next: migprov rollout {given} --limit {planning.GROUP} --check", err=True)


def _own_layouts(planned: Planned, places: Where) -> list[str]:
    """The hosts of a plan for which the inventory names a layout itself."""
    variables = ("mig_layout", "mig_layout_name", "mig_layout_config", "mig_layout_file")
    of = places.inventory.variable
    return [host for host in planned.order if any(of(host, name) for name in variables)]


def _print_schema(kind: str) -> None:
    from ..capacity import fleet_file, workloads_file

    output.write((workloads_file if kind == "workloads" else fleet_file).schema_text())
