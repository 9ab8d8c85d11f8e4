"""Numbers as options take them."""

from __future__ import annotations

import math
from typing import Any

import click

LONGEST_S = 7 * 86400
"""No time that is given in seconds is longer: clocks and waits have bounds of their own."""


class Number(click.FloatRange):
    """A number within bounds. `nan`, which is within any, and `inf` are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number to count with.", param, ctx)
        return number
