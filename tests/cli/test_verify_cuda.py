"""`migprov verify --cuda` in words."""

from __future__ import annotations

from pathlib import Path

from migprov.sim.nodes import Fleet

from .conftest import Migprov


def test_a_node_without_cuda_is_as_wanted_and_says_what_was_not_tried(
    migprov: Migprov, fleet: Fleet, layouts: Path
) -> None:
    where = ("-i", fleet.inventory)
    assert migprov("apply", layouts, "voice", *where).code == 0
    answer = migprov("verify", layouts, "voice", *where, "--cuda")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "gpu1: as wanted, CUDA skipped on 2: this node has no libcuda.so.1\n"
    assert migprov("verify", layouts, "voice", *where).out == "gpu1: as wanted\n"
    assert migprov("verify", layouts, "seven", *where, "--cuda").code == 2
