"""A report as one JSON object; docs/report.md has its keys, which are a contract."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..capacity.account import Account, Card, Part, Totals
from .model import Choice, Report

_DIGITS = 6


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain data. Memory in MiB, bandwidth in GB/s, shares from 0 to 1, money as it was given."""
    account = report.account
    return {
        "of": report.of,
        "title": report.title or None,
        "what_if": report.what_if,
        "hours": account.hours,
        "currency": report.currency or None,
        "before": _totals(account.before, account),
        "after": _totals(account.after, account),
        "freed": [_spot(card) for card in account.freed],
        "saved": {
            "per_hour": _rounded(account.saved_per_hour),
            "for_hours": _rounded(account.money(account.saved_per_hour)),
        },
        "cards": [
            {
                **_spot(pair.after),
                "uuid": pair.after.uuid or None,
                "product": pair.after.product,
                "change": pair.change,
                "held": pair.after.held,
                "before": _card(pair.before) if pair.compared else None,
                "after": _card(pair.after),
            }
            for pair in account.pairs
        ],
        "steps": [asdict(step) for step in report.steps],
        "choices": [_choice(each) for each in report.choices],
        "moved": report.moved,
        "unplaced": [asdict(each) for each in report.unplaced],
        "kept": [{"workload": name, "on": where, "reason": why} for name, where, why in report.kept],
        "proof": report.proof,
        "roll": None if report.roll is None else asdict(report.roll),
        "notes": [*report.notes, *account.notes],
    }


def _totals(totals: Totals | None, account: Account) -> dict[str, Any] | None:
    if totals is None:
        return None
    return {
        **asdict(totals),
        "efficiency": _rounded(totals.efficiency),
        "fill": _rounded(totals.fill),
        "per_hour": _rounded(totals.per_hour),
        "for_hours": _rounded(account.money(totals.per_hour)),
    }


def _spot(card: Card) -> dict[str, Any]:
    return {"host": card.host, "index": card.index}


def _card(card: Card) -> dict[str, Any]:
    return {
        "mig": card.mig,
        "memory_mib": card.memory_mib,
        "allocated_mib": card.allocated_mib,
        "used_mib": card.used_mib,
        "efficiency": _rounded(card.efficiency),
        "price": card.price,
        "parts": [_part(part) for part in card.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "profile": part.profile,
        "start": part.start,
        "memory_mib": part.memory_mib,
        "allocated_mib": part.allocated_mib,
        "used_mib": part.used_mib,
        "efficiency": _rounded(part.efficiency),
        "sms": part.sms,
        "bandwidth_gbs": part.bandwidth_gbs,
        "memory_slices": part.slices,
        "holders": [asdict(holder) for holder in part.holders],
    }


def _choice(choice: Choice) -> dict[str, Any]:
    named = [{"workload": name, "replicas": number} for name, number in choice.workloads]
    return {**asdict(choice), "workloads": named}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
