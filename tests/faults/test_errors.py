"""Every write fails with every code that it can answer: once, from then on, or although the driver did it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from .attempts import CODES, failed, some
from .lab import lab
from .transitions import Transition, every_transition

pytestmark = pytest.mark.long

HOW: tuple[dict[str, Any], ...] = ({}, {"late": True}, {"for_good": True})


@pytest.mark.parametrize("transition", every_transition(), ids=lambda each: each.label)
def test_a_write_that_fails(transition: Transition, tmp_path: Path, tried: Callable[[str, int], None]) -> None:
    how = cycle(HOW)
    with lab(transition, tmp_path) as made:
        last = list({point.call: point for point in some(made.points)}.values())
        for point in last:
            codes = CODES[point.call] if transition.product == "A100-80GB" else CODES[point.call][:1]
            for code in codes:
                failed(made, point, code, **next(how))
            tried("failed", len(codes))
