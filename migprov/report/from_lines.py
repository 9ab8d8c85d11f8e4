"""What `migprov info --json` or `migprov audit --json` printed before and after -> a report."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..capacity.account import HOURS, Account, Card, Pair
from ..connect.shape import harmless
from ..errors import BadRequest
from . import audited, read_nodes
from .model import Report

Key = tuple[str, str]
"""A card: host, and index or UUID."""


@dataclass
class Side:
    """One reading of a fleet: its cards, and the hosts or cards that did not answer, with why."""

    kind: str
    cards: dict[Key, Card] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def report(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    *,
    price: float | None = None,
    hours: float = HOURS,
    currency: str = "",
) -> Report:
    """The report of two readings of the same fleet. Cards that are known in one of them only are not compared.

    Raises:
        BadRequest: a file is neither kind, they are of different kinds, or have no card in common.
    """
    sides = [side(path, price) for path in (before, after)]
    if sides[0].kind != sides[1].kind:
        raise BadRequest(
            f"{before} is of 'migprov {sides[0].kind}', {after} of 'migprov {sides[1].kind}'",
            next="what is compared has to be measured alike: make both with the same command",
        )
    pairs = tuple(Pair(card, sides[1].cards[key]) for key, card in sides[0].cards.items() if key in sides[1].cards)
    if not pairs:
        raise BadRequest(f"{before} and {after} have no card in common", next="compare readings of the same nodes")
    notes = [note for each, when in zip(sides, ("before", "after"), strict=True) for note in _notes(each, when)]
    notes += [f"{name} is known {when} only, and not compared" for name, when in _one_sided(*sides)]
    account = Account(pairs, True, hours)
    of = "readings" if sides[0].kind == "info" else "audits"
    return Report(account, of, currency, notes=tuple(dict.fromkeys(notes)))


def side(path: str | os.PathLike[str], price: float | None = None) -> Side:
    """One file of JSON lines.

    Raises:
        BadRequest: it cannot be read, or is neither of `migprov info` nor of `migprov audit`.
    """
    objects = _lines(path)
    rows = [each for each in objects if "verdict" in each]
    answers = [each for each in objects if isinstance(each.get("after"), dict)]
    if bool(rows) == bool(answers):
        what = "has lines of both" if rows else "has no line of either"
        raise BadRequest(
            f"{path} {what} 'migprov info --json' and 'migprov audit --json'",
            next="make it with: migprov info -i INVENTORY --json > BEFORE.jsonl",
        )
    found = Side("audit" if rows else "info")
    for each in objects:
        if each.get("error") and not isinstance(each.get("after"), dict):
            error = each["error"]
            message = error.get("message") if isinstance(error, Mapping) else error
            found.silent[str(each.get("host"))] = str(message)
    try:
        cards, notes = audited.cards(rows, price) if rows else read_nodes.cards(answers, price)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRequest(
            f"{path} is not what 'migprov {found.kind} --json' prints: {type(error).__name__} {error}"
        ) from None
    found.notes = notes
    for card in cards:
        found.cards[card.host, card.uuid if card.index is None else str(card.index)] = card
    return found


def _lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    found = []
    try:
        with open(Path(path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    each = harmless(json.loads(line))
                except (ValueError, RecursionError):
                    each = None
                if not isinstance(each, dict):
                    raise BadRequest(f"{path}, line {number}: no JSON object")
                found.append(each)
    except UnicodeDecodeError:
        raise BadRequest(f"{path} is not in UTF-8") from None
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}") from None
    return found


def _notes(side: Side, when: str) -> Iterable[str]:
    yield from (f"{host} did not answer {when}: {message}" for host, message in side.silent.items())
    yield from (f"{note} ({when})" for note in side.notes)


def _one_sided(before: Side, after: Side) -> Iterable[tuple[str, str]]:
    by_side: dict[str, list[Card]] = defaultdict(list)
    by_side["before"] = [card for key, card in before.cards.items() if key not in after.cards]
    by_side["after"] = [card for key, card in after.cards.items() if key not in before.cards]
    for when, cards in by_side.items():
        yield from ((card.name, when) for card in cards)
