"""Rows of `migprov audit --json` -> cards, with who held them and the most that was in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..capacity.account import Card, Holder, Part, part
from ..capacity.model import WHOLE
from ..capacity.usage import Labels
from ..capacity.workloads_from import name_of
from .plain import maybe_text, text, whole

UNSEEN = "somebody"


def cards(rows: Sequence[Mapping[str, Any]], price: float | None) -> tuple[list[Card], list[str]]:
    """The cards of an audit, by host and index, and notes. Of a card that was cut anew, what it is now counts."""
    by_card: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_card[str(row["host"]), row["uuid"] or str(row["gpu"])].append(row)
    found = [_card(own, price) for own in by_card.values()]
    unknown = sum(row["verdict"] == "unknown" for row in rows)
    notes = [f"of {unknown} cards or instances too little is known; they count as in use"] if unknown else []
    return sorted(found, key=lambda card: (card.host, -1 if card.index is None else card.index, card.uuid)), notes


def _card(rows: Sequence[Mapping[str, Any]], price: float | None) -> Card:
    now = [row for row in rows if row["usage"]["current"]] or list(rows)
    cut = [row for row in now if row["profile"] is not None or row["gi_id"] is not None]
    first = now[0]
    usage = first["usage"]
    product = str(usage.get("product") or usage.get("model") or "unknown")
    memory = max((whole(row["usage"]["card_memory_mib"]) or 0 for row in now), default=0) or None
    parts = [_part(product, row) for row in sorted(cut, key=_start)] if cut else [_part(product, first)]
    index = first["gpu"]
    return Card(
        str(first["host"]),
        None if index is None else int(index),
        product,
        memory,
        bool(cut),
        tuple(parts),
        maybe_text(first["uuid"]) or "",
        price,
    )


def _start(row: Mapping[str, Any]) -> tuple[int, int]:
    return -1 if row["start"] is None else int(row["start"]), row["gi_id"] or 0


def _part(product: str, row: Mapping[str, Any]) -> Part:
    usage = row["usage"]
    return part(
        product,
        WHOLE if row["profile"] is None and row["gi_id"] is None else str(row["profile"] or "unknown profile"),
        whole(row["start"]),
        _holders(row),
        memory_mib=whole(usage["memory_total_mib"]),
        in_use_mib=whole(usage["memory_peak_mib"]),
    )


def _holders(row: Mapping[str, Any]) -> list[Holder]:
    """Nobody holds what is idle."""
    if row["verdict"] == "idle":
        return []
    there = [each for each in row["workloads"] if each["current"]]
    found = [
        Holder(
            name_of(Labels(**{name: text(label) for name, label in each["workload"].items()})),
            whole(each["memory_peak_mib"]) if each["memory_of"] == "workload" else None,
        )
        for each in there
    ]
    return found or [Holder(UNSEEN, None)]
