"""The work of `migprov plan`: from workloads and nodes, or a fleet on paper, to layouts and who gets which."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import yaml

from ..errors import BadRequest
from ..fleet.grouped import hosts as some_hosts
from ..layouts import loads
from ..layouts.yaml_text import Dumper
from ..result import Result
from . import outcome, planner
from .fleet_of import Fleet, Kept, as_product, fleet, in_use
from .model import FleetCard, Plan, Workload
from .outcome import Layouts
from .prices import Prices

GROUP = "migprov_plan"
"""The group of the hosts that change, in the inventory that goes with a plan."""


@dataclass(frozen=True)
class Options:
    """What is asked of the planner: see `planner.plan`. `as_product`: what if all cards were of this product."""

    least: str = "cards"
    reserve_per_node: int = 0
    as_product: str | None = None
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True)
class Planned:
    """A plan and what belongs to it.

    `workloads` are those that were planned, `kept` the replicas that stay where they are because their cards cannot be
    planned with. `used_before`: the cards on which planned workloads run now; None where the workloads do not say where
    they run. `order`: the hosts that change, in the order in which to change them. `notes` are for people, the plan's
    own included.
    """

    plan: Plan
    workloads: tuple[Workload, ...]
    kept: tuple[Kept, ...]
    used_before: frozenset[tuple[str, int]] | None
    layouts: Layouts
    order: tuple[str, ...]
    notes: tuple[str, ...]
    what_if: str | None = None

    @property
    def freed(self) -> tuple[FleetCard, ...]:
        """Cards on which something runs now and nothing will; those that are free anyway where that is not known."""
        before = self.used_before
        return tuple(card for card in self.plan.freed if before is None or (card.host, card.index) in before)


def of_results(workloads: Sequence[Workload], results: Sequence[Result], options: Options) -> Planned:
    """The plan for nodes that were asked for `info` with processes. Those that did not answer are left out.

    Raises:
        BadRequest: workloads, nodes and options do not fit together.
    """
    found = fleet(results, workloads, options.prices if options.as_product is None else None)
    if not found.cards:
        why = f": {'; '.join(found.notes[:3])}" if found.notes else ""
        raise BadRequest(f"there is no card to plan with{why}", next="see what the nodes have with 'migprov info'")
    return _planned(found, options)


def of_cards(workloads: Sequence[Workload], cards: Sequence[FleetCard], options: Options) -> Planned:
    """The plan for a fleet on paper. Prices of the options overrule those of the cards.

    Raises:
        BadRequest: workloads, cards and options do not fit together.
    """
    prices = options.prices
    priced = tuple(
        card if (price := prices.of(card.host, card.product)) is None else replace(card, price=price) for card in cards
    )
    return _planned(Fleet(priced, tuple(workloads)), options)


def _planned(found: Fleet, options: Options) -> Planned:
    used_before = in_use(found.cards, found.workloads) if any(each.runs_on for each in found.workloads) else None
    what_if = None
    if options.as_product is not None:
        paper = replace(options.prices, of_host=None)
        found = as_product(found, options.as_product, paper)
        what_if = f"all cards were {options.as_product}"
    plan = planner.plan(found.workloads, found.cards, least=options.least, reserve_per_node=options.reserve_per_node)
    return Planned(
        plan,
        found.workloads,
        found.kept,
        used_before,
        outcome.layouts(plan),
        tuple(outcome.order(plan, found.workloads)),
        (*found.notes, *plan.notes),
        what_if,
    )


# --- files --------------------------------------------------------------------------------------------------------


def layouts_text(planned: Planned) -> str | None:
    """The layout file of a plan, as `migprov apply` and mig-parted read it; None where no node changes."""
    if not planned.layouts.configs:
        return None
    of_layout: dict[str, list[str]] = defaultdict(list)
    for host, name in planned.layouts.of_host.items():
        of_layout[name].append(host)
    comments = [f"# {name}: {some_hosts(of_layout[name])}" for name in planned.layouts.configs]
    document = {"version": "v1", "mig-configs": dict(planned.layouts.configs)}
    body = yaml.dump(document, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=110)
    text = "\n".join(["# Written by migprov plan. Which nodes get which layout:", *comments, body])
    loads(text, "the planned layouts")  # what is written can be read
    return text


def inventory_text(planned: Planned, layout_file: str | os.PathLike[str]) -> str | None:
    """An inventory that gives each host that changes its layout, in the order in which to change; None without any.

    It is for use beside the real inventory, before it: Ansible takes hosts in the order in which it hears of them.
    """
    if not planned.order:
        return None
    path = os.path.abspath(layout_file)
    variables = {
        host: {"mig_layout": planned.layouts.of_host[host], "mig_layouts_file": path} for host in planned.order
    }
    document = {"all": {"hosts": variables, "children": {GROUP: {"hosts": dict.fromkeys(planned.order, None)}}}}
    body = yaml.dump(document, Dumper=Dumper, sort_keys=False, default_flow_style=False, width=1 << 20)
    return f"# Written by migprov plan: the nodes that change, in the order in which to change them.\n{body}"
