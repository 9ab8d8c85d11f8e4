"""Counts the points that were tried, and prints them at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

TRIED = pytest.StashKey[Counter[str]]()


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Take note that so many points were tried: `tried("killed", 12)`."""
    counts = request.config.stash.setdefault(TRIED, Counter())

    def note(kind: str, number: int) -> None:
        counts[kind] += number

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line with the points that were tried."""
    counts = config.stash.get(TRIED, None)
    if counts:
        parts = ", ".join(f"{kind} {number}" for kind, number in sorted(counts.items()))
        terminalreporter.write_line(f"fault points tried: {sum(counts.values())} ({parts})")
