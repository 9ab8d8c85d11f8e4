"""The ways to cut an A100-80GB with its five base profiles, by brute force and without migprov's own search."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

BASE = ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
DEVICE = "A100-80GB"

Placed = tuple[str, int]
"""A profile and its first memory slice."""
Arrangement = frozenset[Placed]
Multiset = tuple[str, ...]
"""Profile names, sorted."""


@cache
def arrangements() -> dict[Multiset, tuple[Arrangement, ...]]:
    """Every legal set of placed instances, by what it consists of: 298 of them, 38 multisets."""
    found: dict[Multiset, list[Arrangement]] = {}
    for arrangement in _subsets(_placements(), frozenset()):
        consists = tuple(sorted(profile for profile, _ in arrangement))
        found.setdefault(consists, []).append(frozenset(arrangement))
    return {multiset: tuple(ways) for multiset, ways in sorted(found.items())}


def fewest_destroyed(present: Arrangement, wanted: Multiset) -> int:
    """How many instances of `present` go at least, when any legal arrangement of `wanted` will do."""
    return len(present) - max(len(present & way) for way in arrangements()[wanted])


def _placements() -> list[tuple[Placed, frozenset[int]]]:
    """Each placement with the memory slices that it takes, as the product table's data has them."""
    table = json.loads(files("migprov.mig").joinpath("geometry.json").read_text(encoding="utf-8"))
    rows = next(product["gi_profiles"] for product in table["products"] if product["key"] == DEVICE)
    return [
        ((row["name"], start), frozenset(range(start, start + row["placement_size"])))
        for row in rows
        if row["name"] in BASE
        for start in row["placement_starts"]
    ]


def _subsets(placements: list[tuple[Placed, frozenset[int]]], taken: frozenset[int]) -> list[tuple[Placed, ...]]:
    """Every set of placements whose memory slices do not overlap."""
    if not placements:
        return [()]
    (placed, slices), rest = placements[0], placements[1:]
    without = _subsets(rest, taken)
    if slices & taken:
        return without
    return without + [(placed, *others) for others in _subsets(rest, taken | slices)]
