"""What `migprov plan --json` printed, as far as other systems have to know of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from ..fleet.kubernetes import resources
from .errors import CannotRender


@dataclass(frozen=True)
class Seat:
    """Where a replica goes: a profile, or `gpu`, on a card of a host and product."""

    workload: str
    host: str
    index: int
    profile: str
    product: str


@dataclass(frozen=True)
class PlannedCard:
    """A card as it is to be. `profiles` are those of its instances; none with MIG off."""

    host: str
    index: int
    product: str
    mig: bool
    profiles: tuple[str, ...]


@dataclass(frozen=True)
class PlanFile:
    """`configs`: the layouts by name, as in a layout file; `of_host` says which of them a host gets. `others`: by
    workload, the replicas that have no seat: those without a place, and those that stay where they are, unplanned.
    """

    path: str
    seats: tuple[Seat, ...]
    cards: tuple[PlannedCard, ...]
    configs: Mapping[str, Sequence[Mapping[str, Any]]]
    of_host: Mapping[str, str]
    others: Mapping[str, int] = field(default_factory=dict)

    def strategy_trouble(self, strategy: str) -> str:
        """Why the device plugin offers nothing on some node with this strategy; empty where it does."""
        for host in dict.fromkeys(card.host for card in self.cards):
            gpus = [_gpu(card) for card in self.cards if card.host == host]
            found = resources.offer(gpus, strategy)
            if found.trouble:
                return f"{host}: {found.trouble}"
        return ""

    def check_strategy(self, strategy: str) -> None:
        """Raise CannotRender where the device plugin would offer nothing on some node."""
        if trouble := self.strategy_trouble(strategy):
            other = " Or render for the strategy mixed." if strategy != "mixed" else ""
            raise CannotRender(f"{self.path} with the strategy {strategy}: {trouble}", next=f"change the plan.{other}")


def _gpu(card: PlannedCard) -> dict[str, Any]:
    """As in a State, as far as `resources` reads it."""
    instances = [{"compute_instances": [{"profile": profile}]} for profile in card.profiles]
    return {"index": card.index, "mig_current": card.mig, "instances": instances, "error": None}


def load(path: str | os.PathLike[str]) -> PlanFile:
    """Read a plan. Raises BadRequest: it cannot be read, or is none."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError, ValueError) as error:
        raise BadRequest(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return loads(text, os.fspath(path))


def loads(text: str, source: str = "<plan>") -> PlanFile:
    """Read the text of a plan; `source` stands in messages for its path. Raises BadRequest."""
    try:
        return _plan(json.loads(text), source)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) and error.args else str(error)
        raise BadRequest(
            f"{source} is not what 'migprov plan --json' prints: {what}",
            next="make it with: migprov plan WORKLOADS.yml ... --json > PLAN.json",
        ) from None


def _plan(found: Mapping[str, Any], source: str) -> PlanFile:
    products = {(each["host"], each["index"]): str(each["product"]) for each in found["cards"]}
    return PlanFile(
        source,
        tuple(_seat(each, products) for each in found["assignments"]),
        tuple(_card(each) for each in found["cards"]),
        {str(name): list(entries) for name, entries in found["layouts"]["mig-configs"].items()},
        {str(host): str(name) for host, name in found["layouts"]["of_host"].items()},
        _others(found),
    )


def _others(found: Mapping[str, Any]) -> dict[str, int]:
    counts = Counter(str(each["workload"]) for each in found["kept"])
    for each in found["unplaced"]:
        counts[str(each["workload"])] += int(each["replicas"])
    return dict(counts)


def _seat(each: Mapping[str, Any], products: Mapping[tuple[Any, Any], str]) -> Seat:
    host, index = each["host"], each["index"]
    return Seat(str(each["workload"]), str(host), int(index), str(each["profile"]), products[host, index])


def _card(each: Mapping[str, Any]) -> PlannedCard:
    after = each["after"]
    profiles = tuple(str(one["profile"]) for one in after["instances"])
    return PlannedCard(str(each["host"]), int(each["index"]), str(each["product"]), bool(after["mig"]), profiles)
