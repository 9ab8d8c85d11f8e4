"""Pieces of the messages: the nearest valid value, and a value cut to a readable length."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from typing import Any

_LONGEST = 60


def nearest(value: str, valid: Collection[str]) -> str:
    """``Did you mean X?`` where one is near, else what there is."""
    close = difflib.get_close_matches(value, list(valid), n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known: {join(valid)}." if valid else ""


def join(values: Collection[str], most: int = 12) -> str:
    """``a, b, c``, with the number of those left out after ``most``."""
    listed = list(values)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + rest


def shown(value: Any) -> str:
    """A value as a file would have it, cut to a readable length."""
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
