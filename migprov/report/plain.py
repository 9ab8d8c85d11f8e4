"""Values out of JSON that somebody may have edited: what is of another kind than it should be is no reading."""

from __future__ import annotations

from typing import Any


def whole(value: Any) -> int | None:
    """A whole number, or None. Raises TypeError: it is neither."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"{value!r} is no whole number")


def number(value: Any) -> float | None:
    """A number, or None. Raises TypeError: it is neither."""
    return float(value) if isinstance(value, float) else whole(value)


def text(value: Any) -> str:
    """A text. Raises TypeError: it is none."""
    if isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is no text")


def maybe_text(value: Any) -> str | None:
    """A text, or None. Raises TypeError: it is neither."""
    return None if value is None else text(value)
