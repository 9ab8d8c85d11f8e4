"""Compute instances inside one GPU instance: what stays, what goes, where the new ones stand."""

from __future__ import annotations

from typing import Any

import pytest

from migprov.mig.compute import Compute, reconcile, wanted_computes
from migprov.mig.errors import LayoutImpossible
from migprov.mig.state import ComputeInstance
from migprov.mig.wanted import WantedCompute, WantedInstance

from .cards import A100

TABLE: dict[str, tuple[Any, ...]] = {
    # existing: (start, slices); busy: their numbers; wanted: (slices, start); destroyed: starts; created; busy lost
    "two idle ones go before one with work": (4, [(0, 1), (2, 1), (3, 1)], {0}, "2 1 1", {2, 3}, [(1, 1), (2, 2)], 0),
    "without work the fewest go": (4, [(0, 1), (2, 1), (3, 1)], set(), "2 1 1", {0}, [(2, 0)], 0),
    "work goes where nothing else will do": (4, [(0, 1), (2, 1)], {0, 1}, "4", {0, 2}, [(4, 0)], 2),
    "three slices stand at a multiple of four": (7, [(4, 3), (0, 1)], {0}, "3 3", {0}, [(3, 0)], 0),
    "the driver's own way would leave no room": (7, [], set(), "3 2 2", set(), [(3, 4), (2, 0), (2, 2)], 0),
    "the driver finds room, largest first": (7, [], set(), "1 2 4", set(), [(4, None), (2, None), (1, None)], 0),
    "a place of its own": (3, [(0, 1), (1, 1)], set(), "1 1@2", {1}, [(1, 2)], 0),
    "as many as there are, wherever": (3, [(1, 1), (2, 1)], {1}, "1 1", set(), [], 0),
}  # fmt: skip


def computes(text: str) -> list[Compute]:
    """``2 1@3``: two slices anywhere, one at slice 3."""
    pairs = [word.partition("@") for word in text.split()]
    return [Compute(int(slices), int(start) if start else None) for slices, _, start in pairs]


@pytest.mark.parametrize("case", TABLE)
def test_what_stays_and_what_goes(case):
    slices, spans, busy, wanted, destroyed, created, lost = TABLE[case]
    existing = [ComputeInstance(n, "x", start, size) for n, (start, size) in enumerate(spans)]
    found = reconcile(slices, existing, frozenset(busy), computes(wanted))
    assert {ci.start for ci in found.destroy} == destroyed
    assert sorted(found.create, key=created.index) == created
    assert found.busy_lost == lost


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("3g.40gb", [("2c.3g.40gb", 2)]),  # ends beyond the instance
        ("3g.40gb", [("1c.3g.40gb", 3)]),
        ("3g.40gb", [("1c.3g.40gb", 0), ("1c.3g.40gb", 0)]),
        ("4g.40gb", [("1c.4g.40gb", 0), ("1c.4g.40gb", 2), ("2c.4g.40gb", None)]),  # two free slices, apart
    ],
)
def test_what_has_no_place_is_refused(name, inner):
    wanted = WantedInstance(name, None, tuple(WantedCompute(*each) for each in inner))
    with pytest.raises(LayoutImpossible, match="do not fit"):
        wanted_computes(wanted, A100.card.find(name), 0)
