"""Ctrl-C, SIGKILL, and two at once: what is in hand is finished, nothing is ended, and nothing is forgotten."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from .conftest import writes
from .control import Control

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

pytestmark = pytest.mark.timeout(900)


def test_ctrl_c_finishes_the_batch_in_hand(control: Control, two: Fleet) -> None:
    # The canary's turn lasts until its holder ends.
    holder = two.node("gpu1").sim.hold(gpu=1, memory_mib=100)
    two.node("gpu2").sim.hold(gpu=1, memory_mib=100)
    asked = ("rollout", control.layouts, "voice", "-i", two.inventory, "--drain", "wait", "--timeout", "3000")
    running = control.start(*asked)
    control.wait_for("playbook")
    other = control.run(*asked)
    id = control.story().id
    assert other.code == 2
    assert f"The roll {id} (begun " in other.err
    assert "is at work on gpu1, gpu2; nothing was contacted." in other.err
    assert f"{id}  voice: running" in control.run("status").out

    running.send_signal(signal.SIGINT)
    holder.release()
    stopped = control.finish(running)
    assert stopped.code == 130
    assert "Finishing the batch in hand: gpu1; then stops." in stopped.err
    assert "gpu1: done" in stopped.err
    assert f"Next: migprov rollout --resume {id}" in stopped.err
    assert (control.story().state, control.story().last["result"]) == ("stopped", "interrupted")
    assert [count > 0 for count in writes(two)] == [True, False]


@pytest.mark.long
def test_a_second_ctrl_c_leaves_and_the_playbook_goes_on(control: Control, two: Fleet) -> None:
    holder = two.node("gpu1").sim.hold(gpu=1, memory_mib=100)
    other = two.node("gpu2").sim.hold(gpu=1, memory_mib=100)
    asked = ("rollout", control.layouts, "voice", "-i", two.inventory, "--drain", "wait", "--timeout", "3000")
    running = control.start(*asked)
    pid = control.wait_for("playbook")["pid"]
    assert running.stderr is not None
    running.send_signal(signal.SIGINT)
    while "Finishing the batch" not in running.stderr.readline():
        pass
    running.send_signal(signal.SIGINT)
    left = control.finish(running)
    assert left.code == 130
    assert f"In hand: gpu1. ansible-playbook (process {pid}) goes on with them by itself" in left.err
    os.kill(pid, 0)
    told = json.loads(control.run("status", "--json").out)["rolls"][0]
    assert (told["state"], told["in_hand"], told["playbook"]) == ("killed", ["gpu1"], pid)
    refused = control.run(*asked)
    assert (refused.code, f"(process {pid}) is still at work on gpu1, gpu2" in refused.err) == (2, True)

    resumed = control.start("rollout", "--resume")
    assert resumed.stderr is not None
    while "waiting for its end" not in (line := resumed.stderr.readline()):
        assert line
    holder.release()
    other.release()
    done = control.finish(resumed)
    assert done.code == 0, done.err
    assert "gpu1: as wanted" in done.err
    assert control.story().state == "ended"
    verified = control.run("verify", control.layouts, "voice", "-i", two.inventory)
    assert verified.code == 0, verified.out


@pytest.mark.parametrize("line", [pytest.param("looked", marks=pytest.mark.long), "node"])
def test_killed_at_a_line_of_the_record(control: Control, two: Fleet, line: str) -> None:
    running = control.start("rollout", control.layouts, "voice", "-i", two.inventory)
    control.wait_for(line)
    running.kill()
    assert control.finish(running).code == -signal.SIGKILL
    control.wait_for_playbook()
    counted = writes(two)
    told = json.loads(control.run("status", "--json").out)["rolls"][0]
    assert told["state"] == "killed"
    assert set(told["done"] + told["left"] + told["in_hand"]) == {"gpu1", "gpu2"}
    assert told["next"] == f"migprov rollout --resume {told['id']}"

    done = control.run("rollout", "--resume", "--json")
    assert done.code == 0, done.err
    assert sorted(done.lines[-1]["done"]) == ["gpu1", "gpu2"]
    for before, after in zip(counted, writes(two), strict=True):
        assert after == before or before == 0
    assert min(writes(two)) > 0
    assert not (control.story().folder / "runner").exists()
