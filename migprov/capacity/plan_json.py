"""A plan as one JSON object; docs/planning.md has its keys, which are a contract."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .explain import Explanation
from .model import Assignment, Bound, CardPlan, FleetCard, Instance
from .planning import Planned
from .products import Offer, product


def to_json(planned: Planned, explained: Sequence[Explanation] = ()) -> dict[str, Any]:
    """The plan as plain data. Memory in MiB, bandwidth in GB/s, money per hour."""
    plan = planned.plan
    before = planned.used_before
    return {
        "what_if": planned.what_if,
        "used": {
            "before": None if before is None else len(before),
            **_bound(plan.used),
            "after": round(plan.used.value),
        },
        "cost": None if plan.cost is None else _bound(plan.cost),
        "freed": [_spot(card) for card in planned.freed],
        "changed": [_spot(each.card) for each in plan.changed],
        "moved": plan.moved,
        "unplaced": [
            {"workload": each.workload, "replicas": each.replicas, "reason": each.reason} for each in plan.unplaced
        ],
        "cards": [_card(each) for each in plan.cards],
        "assignments": [_assignment(each) for each in plan.assignments],
        "kept": [
            {
                "workload": each.workload,
                "host": each.place.host,
                "gpu": each.place.gpu,
                "start": each.place.start,
                "reason": each.why,
            }
            for each in planned.kept
        ],
        "layouts": {"mig-configs": dict(planned.layouts.configs), "of_host": dict(planned.layouts.of_host)},
        "order": list(planned.order),
        "explained": [_explanation(each) for each in explained],
        "notes": list(planned.notes),
    }


def _bound(bound: Bound) -> dict[str, Any]:
    # HiGHS has a zero with a sign.
    return {"after": bound.value + 0.0, "bound": bound.bound + 0.0, "gap": bound.gap}


def _spot(card: FleetCard) -> dict[str, Any]:
    return {"host": card.host, "index": card.index}


def _card(each: CardPlan) -> dict[str, Any]:
    card = each.card
    return {
        **_spot(card),
        "uuid": card.uuid or None,
        "product": card.product,
        "price": card.price,
        "held": card.held,
        "before": {"mig": card.mig, "instances": _instances(card.instances)},
        "after": {"mig": each.mig, "instances": _instances(each.instances)},
        "used": each.used,
        "changes": each.changes,
    }


def _instances(instances: Iterable[Instance]) -> list[dict[str, Any]]:
    return [{"profile": each.profile, "start": each.start} for each in sorted(instances, key=lambda each: each.start)]


def _assignment(each: Assignment) -> dict[str, Any]:
    return {
        "workload": each.workload,
        "replica": each.replica,
        "host": each.host,
        "index": each.index,
        "profile": each.profile,
        "start": each.start,
        "moved": each.moved,
    }


def _explanation(each: Explanation) -> dict[str, Any]:
    offers = product(each.product).offers
    return {
        "product": each.product,
        "cards": [_spot(card.card) for card in each.cards],
        "workloads": [{"workload": name, "replicas": count} for name, count in each.seated],
        "ways": [
            {
                "profiles": list(way.pattern),
                "chosen": way.pattern == each.chosen,
                "seats": [
                    {"workload": seat.workload, **_offer(seat.offer), "spare_mib": seat.spare_mib} for seat in way.seats
                ],
                "room": None if way.room is None else _offer(offers[way.room]),
                "free_memory_slices": way.free_memory_slices,
                "free_compute_slices": way.free_compute_slices,
            }
            for way in each.ways
        ],
    }


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "profile": offer.name,
        "memory_mib": offer.memory_mib,
        "sms": offer.sms,
        "bandwidth_gbs": offer.bandwidth_gbs,
    }
