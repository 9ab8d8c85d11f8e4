"""Plans that are made once, and the pages of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .files import Planned, many, migprov, seed


@pytest.fixture(scope="session")
def seed_plan(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """The plan of three cards of which one is freed."""
    return seed(tmp_path_factory.mktemp("seed"))


@pytest.fixture(scope="session")
def many_plan(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """The plan of 496 cards, with hostile names."""
    return many(tmp_path_factory.mktemp("many"))


@pytest.fixture(scope="session")
def seed_page(seed_plan: Planned) -> Path:
    """Its page, with money in dollars."""
    return _page(seed_plan, "$", "Voice")


@pytest.fixture(scope="session")
def many_page(many_plan: Planned) -> Path:
    """Its page, with money in a currency of letters and a hostile title."""
    return _page(many_plan, "EUR", "<b>Voice</b> & search")


def _page(planned: Planned, currency: str, title: str) -> Path:
    path = planned.plan.parent / "report.html"
    answer = migprov(*planned.arguments, "--currency", currency, "--title", title, "-o", path)
    assert (answer.code, answer.out) == (0, ""), answer.err
    return path
