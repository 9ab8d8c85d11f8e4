"""The node program is killed at writes it makes, just before the driver does them and just after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .attempts import killed, some
from .lab import lab
from .transitions import Transition, every_transition


@pytest.mark.parametrize("transition", every_transition(), ids=lambda each: each.label)
def test_killed_at_writes(transition: Transition, tmp_path: Path, tried: Callable[[str, int], None]) -> None:
    with lab(transition, tmp_path) as made:
        whole = transition.product == "A100-80GB"  # benchmarks/faults.py takes every point of every product
        chosen = [(point, late) for point in some(made.points) for late in (False, True)]
        for point, late in chosen if whole else chosen[1::3]:
            killed(made, point, late=late)
            tried("killed", 1)
