"""`migprov rollback -i` over several nodes: newest change first, and never forward again by mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import writes
from .control import Control

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

pytestmark = pytest.mark.timeout(900)


@pytest.mark.long
def test_newest_first_and_taken_up_without_going_forward(control: Control, two: Fleet) -> None:
    where = ("-i", two.inventory)
    for name in ("gpu2", "gpu1"):  # the newest change is that of gpu1
        assert control.run("apply", control.layouts, "voice", *where, "--limit", name).code == 0
    counted = writes(two)
    paused = control.run("rollback", *where, "--steps", "1", "--pause-after", "1", "--json")
    assert (paused.code, paused.err) == (0, "")
    first, second = paused.lines
    assert (first["host"], first["changed"], first["after"]["gpus"][1]["mig_current"]) == ("gpu1", True, False)
    assert (second["host"], second["changed"], second["error"]["code"]) == ("gpu2", False, "not_begun")
    assert second["after"] == second["before"]
    assert [now > then for now, then in zip(writes(two), counted, strict=True)] == [True, False]

    counted = writes(two)
    id = control.story().id
    another = control.run("rollback", *where)
    assert another.code == 2
    assert f"The rollback {id} has brought gpu1 back and is not ended" in another.err
    assert f"migprov rollback --resume {id}" in another.err
    done = control.run("rollback", "--resume")
    assert done.code == 0, done.err
    assert "Every node is as wanted." in done.err
    assert [now > then for now, then in zip(writes(two), counted, strict=True)] == [False, True]
    states = control.run("info", *where, "--json").lines
    assert [gpu["mig_current"] for state in states for gpu in state["after"]["gpus"]] == [False] * 6


def test_given_up(control: Control, two: Fleet) -> None:
    where = ("-i", two.inventory, "--limit", "gpu1")
    control.run("apply", control.layouts, "voice", *where)
    limits = ("--floor", "gpu=0", "--floor", "3g.40gb=2", "--node-timeout", "900.5")
    stopped = control.run("rollback", *where, *limits, "--json")
    assert (stopped.code, stopped.lines[0]["changed"]) == (2, False)
    assert "stay in service" in stopped.lines[0]["error"]["message"] + stopped.err, stopped
    id = control.story().id
    assert control.story().state == "stopped"
    told = control.run("status", "--give-up", id)
    assert (told.code, f"{id}  rollback: ended (given_up)" in told.out) == (0, True)
    assert control.run("status", "--give-up", id).code == 1
    assert control.run("rollback", "--resume").code == 1
