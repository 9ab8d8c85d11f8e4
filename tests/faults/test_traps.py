"""The traps, each on an A100-40GB and on one other product in turn; `make traps` takes them all and prints a table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .trap_bench import FAMILIES, Bench, Counts, Family, bench
from .trap_rows import TRAPS, Trap, run


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for all: nodes that are cut alike are cut once."""
    with bench(tmp_path_factory.mktemp("traps")) as made:
        yield made


def chosen() -> list[tuple[Trap, Family]]:
    """The pairs that are tested here."""
    pairs = []
    for number, trap in enumerate(TRAPS):
        fitting = [family for family in FAMILIES if trap.applies(family)]
        pairs += [(trap, family) for family in {fitting[0], fitting[1 + number % (len(fitting) - 1)]}]
    return sorted(pairs, key=lambda pair: (TRAPS.index(pair[0]), pair[1].product))


@pytest.mark.parametrize(("trap", "family"), chosen(), ids=lambda each: getattr(each, "name", None) or each.product)
def test_ideal(table: Bench, trap: Trap, family: Family) -> None:
    row = run(table, trap, family)
    assert not row.wrong, row


def test_a_count_that_is_not_ideal_is_seen(table: Bench) -> None:
    def springs(made: Bench, family: Family) -> tuple[object, Counts, str, str]:
        node, _, ending, wrong = TRAPS[2].spring(made, family)
        return node, Counts(), ending, wrong

    assert run(table, Trap("nothing is to be done", "", springs), FAMILIES[0]).wrong  # type: ignore[arg-type]
