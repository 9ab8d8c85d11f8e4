"""What `migprov plan --json` printed, and the workloads file it was made of -> a report."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..capacity.account import HOURS, Account
from ..capacity.account_plan import Stays, of_plan
from ..capacity.model import Assignment, Bound, CardPlan, FleetCard, Instance, Place, Plan, Unplaced, Workload
from ..capacity.prices import MOST
from ..capacity.products import product
from ..connect.shape import harmless
from ..errors import BadRequest
from .model import Choice, Move, Report, Seat, Step, Way
from .plain import maybe_text, number, text, whole


def report(
    path: str | os.PathLike[str],
    workloads: Sequence[Workload],
    *,
    price: float | None = None,
    hours: float = HOURS,
    currency: str = "",
) -> Report:
    """The report of a plan. `price` is that of every card for an hour; by default each card's own of the plan.

    Raises:
        BadRequest: the file is no plan, or not one of these workloads.
    """
    found = _object(path)
    try:
        return _report(found, workloads, price, hours, currency)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) and error.args else str(error)
        raise BadRequest(
            f"{path} is not what 'migprov plan --json' prints: {what}",
            next="make it with: migprov plan WORKLOADS.yml ... --json > PLAN.json",
        ) from None


def _object(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        found = harmless(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{path} is no JSON that can be used: {error}") from None
    if not isinstance(found, dict):
        raise BadRequest(f"{path} is no plan: it must be one JSON object")
    return found


def _report(
    found: Mapping[str, Any], workloads: Sequence[Workload], price: float | None, hours: float, currency: str
) -> Report:
    plan = _plan(found, price)
    kept = found["kept"]
    _check_names(plan, kept, workloads)
    what_if = found.get("what_if")
    stays = [Stays(each["workload"], Place(each["host"], each["gpu"], each["start"])) for each in kept]
    account = of_plan(plan, workloads, stays, on_paper=what_if is not None, hours=hours)
    return Report(
        account,
        "plan",
        currency,
        what_if=None if what_if is None else str(what_if),
        steps=_steps(found, plan),
        choices=tuple(_choice(each) for each in found.get("explained", ())),
        unplaced=plan.unplaced,
        kept=tuple((each["workload"], f"{each['host']}/{each['gpu']}", str(each["reason"])) for each in kept),
        proof={"cards": found["used"], "cost": found["cost"]},
        moved=int(found["moved"]),
        notes=(*map(str, found["notes"]), *_doubts(found["used"], account)),
    )


def _doubts(used: Mapping[str, Any], account: Account) -> Iterator[str]:
    """The plan counted the cards in use by the workloads file that it had; another one may count others."""
    before = account.before
    if before is not None and used.get("before") not in (None, before.in_use):
        yield (
            f"the plan counts {used['before']} cards in use before, by this workloads file there are {before.in_use}: "
            "it may not be the one that the plan was made of"
        )


def _plan(found: Mapping[str, Any], price: float | None) -> Plan:
    cards = tuple(_card(each, price) for each in found["cards"])
    assignments = tuple(
        Assignment(
            text(each["workload"]),
            int(each["replica"]),
            text(each["host"]),
            int(each["index"]),
            text(each["profile"]),
            None if each["start"] is None else int(each["start"]),
            bool(each["moved"]),
        )
        for each in found["assignments"]
    )
    unplaced = tuple(
        Unplaced(text(each["workload"]), int(each["replicas"]), str(each["reason"])) for each in found["unplaced"]
    )
    used = found["used"]
    return Plan(cards, assignments, unplaced, Bound(float(used["after"]), float(used["bound"])))


def _card(each: Mapping[str, Any], price: float | None) -> CardPlan:
    before, after = each["before"], each["after"]
    card = FleetCard(
        text(each["host"]),
        int(each["index"]),
        product(text(each["product"])).key,
        bool(before["mig"]),
        _instances(before, each),
        maybe_text(each["uuid"]) or "",
        _price(each["price"]) if price is None else price,
        maybe_text(each["held"]),
    )
    return CardPlan(card, bool(after["mig"]), _instances(after, each), bool(each["used"]))


def _instances(side: Mapping[str, Any], card: Mapping[str, Any]) -> tuple[Instance, ...]:
    known = product(card["product"])
    for each in side["instances"]:
        if card["held"] is None and known.find(each["profile"]) is None:
            raise ValueError(f"{card['product']} has no profile {each['profile']!r}")
    return tuple(Instance(each["profile"], int(each["start"])) for each in side["instances"])


def _price(value: Any) -> float | None:
    price = number(value)
    if price is not None and not 0 <= price <= MOST:
        raise ValueError(f"{value!r} is no price")
    return price


def _check_names(plan: Plan, kept: Sequence[Mapping[str, Any]], workloads: Sequence[Workload]) -> None:
    known = {each.name for each in workloads}
    named = [*(each.workload for each in plan.assignments), *(each["workload"] for each in kept)]
    for name in named:
        if name not in known:
            raise BadRequest(
                f"the plan places {name!r}, which the workloads file does not have",
                next="give the workloads file that the plan was made of",
            )


def _steps(found: Mapping[str, Any], plan: Plan) -> tuple[Step, ...]:
    arrive: dict[str, list[Move]] = defaultdict(list)
    for each in plan.assignments:
        if each.moved:
            arrive[each.host].append(Move(each.workload, f"{each.host}/{each.index}", each.profile, each.start))
    cards: dict[str, list[str]] = defaultdict(list)
    for changed in plan.changed:
        cards[changed.card.host].append(changed.card.name)
    of_host = found["layouts"]["of_host"]
    first = [Step(host, str(of_host.get(host, "")), tuple(cards[host]), ()) for host in found["order"]]
    steps = [replace(step, arrive=tuple(arrive.pop(step.host, ()))) for step in first]
    # Hosts that are not cut anew but to which something moves: after the others.
    return (*steps, *(Step(host, "", (), tuple(moves)) for host, moves in arrive.items()))


def _choice(found: Mapping[str, Any]) -> Choice:
    return Choice(
        text(found["product"]),
        tuple(f"{each['host']}/{each['index']}" for each in found["cards"]),
        tuple((text(each["workload"]), int(each["replicas"])) for each in found["workloads"]),
        tuple(_way(each) for each in found["ways"]),
    )


def _way(found: Mapping[str, Any]) -> Way:
    return Way(
        tuple(map(text, found["profiles"])),
        bool(found["chosen"]),
        tuple(map(_seat, found["seats"])),
        None if found["room"] is None else text(found["room"]["profile"]),
        int(found["free_memory_slices"]),
    )


def _seat(found: Mapping[str, Any]) -> Seat:
    return Seat(
        text(found["workload"]),
        text(found["profile"]),
        whole(found["memory_mib"]),
        whole(found["sms"]),
        number(found["bandwidth_gbs"]),
        whole(found["spare_mib"]),
    )
