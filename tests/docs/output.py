"""Is what a page shows what was said?"""

from __future__ import annotations

import re
from collections.abc import Sequence


def missing(shown: Sequence[str], said: str) -> str | None:
    """The first shown line that does not come, in the order shown; None when all do."""
    lines = iter([_folded(line) for line in said.splitlines()])
    for line in shown:
        pattern = ".*".join(map(re.escape, re.split(r" ?\.\.\. ?", _folded(line))))
        if pattern not in ("", ".*") and not any(re.fullmatch(pattern, each) for each in lines):
            return line
    return None


def _folded(line: str) -> str:
    return " ".join(line.split())
