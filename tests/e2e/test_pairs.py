"""From any layout of an A100-80GB to any other: it works, and no more instances go than must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from migprov.sim.driver import SimNode

from .arrangements import Arrangement, Multiset, arrangements, fewest_destroyed
from .node_program import NodeProgram, node_program

MULTISETS = list(arrangements())
STEP = 23  # has no divisor in common with 38: over the sample every multiset is left and reached


def sample() -> list[tuple[Arrangement, Multiset]]:
    """Every 23rd ordered pair, each from another of the ways in which the first can be placed."""
    pairs = [(first, second) for first in MULTISETS for second in MULTISETS]
    ways = arrangements()
    return [(ways[first][number % len(ways[first])], second) for number, (first, second) in enumerate(pairs[::STEP])]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> SimNode:
    return SimNode.create(tmp_path_factory.mktemp("pairs") / "node", "1xA100-80GB")


@pytest.fixture(scope="module")
def program(node: SimNode) -> Iterator[NodeProgram]:
    with node_program(node) as started:
        yield started


def entries(instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"devices": "all", "mig_enabled": True, "instances": instances}]


def test_there_are_38_multisets_and_298_arrangements() -> None:
    assert len(MULTISETS) == 38
    assert sum(len(ways) for ways in arrangements().values()) == 298
    assert {pair[1] for pair in sample()} == set(MULTISETS)


@pytest.mark.parametrize(
    ("present", "wanted"),
    sample(),
    ids=[f"{number * STEP}" for number in range(len(sample()))],
)
def test_a_pair(node: SimNode, program: NodeProgram, present: Arrangement, wanted: Multiset) -> None:
    start = [{"profile": profile, "start": place} for profile, place in sorted(present)]
    assert program.ask(node, "layout", entries=entries(start))["error"] is None

    node.reset_counters()
    layout = entries([{"profile": profile} for profile in wanted])
    reply = program.ask(node, "layout", entries=layout)

    assert reply["error"] is None
    (before,), (after,) = reply["before"]["gpus"], reply["after"]["gpus"]
    assert {(gi["profile"], gi["start"]) for gi in before["instances"]} == set(present)
    assert Counter(gi["profile"] for gi in after["instances"]) == Counter(wanted)
    # what the driver was asked to do, not what the program says it did
    least = fewest_destroyed(present, wanted)
    asked = Counter(write["call"] for write in node.writes())
    assert asked["nvmlGpuInstanceDestroy"] == least
    assert asked["nvmlDeviceCreateGpuInstanceWithPlacement"] == len(wanted) - (len(present) - least)
    assert {write["result"] for write in node.writes()} <= {0}
    assert program.ask(node, "verify", entries=layout)["error"] is None
    writes = node.write_count()
    assert program.ask(node, "layout", entries=layout)["changed"] is False
    assert node.write_count() == writes
