"""`migprov rollout`: to the end, not begun, stopped by a failure, paused, taken up."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from migprov.fleet.roll import Request, rollout
from migprov.fleet.roll.events import BatchBegun, BatchDone, Over

from .conftest import writes
from .control import Control

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

pytestmark = pytest.mark.timeout(900)

CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"


def test_a_roll_then_the_same_again(control: Control, three: Fleet) -> None:
    asked = ("rollout", control.layouts, "voice", "-i", three.inventory, "--steps", "1,2")
    # What the inventory has for the nodes does not count beside FILE and NAME.
    more = control.folder / "more.yml"
    more.write_text("gpu_nodes: {vars: {mig_layout_config: [{devices: [0], mig-enabled: false}]}}\n")
    checked = control.run(*asked, "-i", more, "--check", "--json", "--floor", "7g.80gb=1", "--floor", "gpu=1")
    assert (checked.code, checked.err) == (0, "")
    assert [each["text"] for each in checked.events("note")] == [
        "No node serves 7g.80gb now, so the floor 7g.80gb=1 holds nothing back."
    ]
    assert [(each["hosts"], each["check"]) for each in checked.events("batch")] == [
        (["gpu1"], True),
        (["gpu2", "gpu3"], True),
    ]
    assert checked.lines[-1]["result"] == "checked"
    assert writes(three) == [0, 0, 0]
    assert not control.state.exists()

    done = control.run(*asked, "--json")
    assert (done.code, done.err) == (0, "")
    told = [line["event"] for line in done.lines if line["event"] not in ("task", "looking")]
    assert told == ["begun", "looked", "batch", "node", "batch_done", "batch", "node", "node", "batch_done", "ended"]
    assert [each["hosts"] for each in done.events("batch")] == [["gpu1"], ["gpu2", "gpu3"]]
    node = done.events("node")[0]
    assert (node["result"], node["before"]["1"], node["after"]["1"]) == ("done", None, ["3g.40gb at 0", "3g.40gb at 4"])
    assert done.lines[-1]["done"] == ["gpu1", "gpu2", "gpu3"]
    counted = writes(three)
    assert min(counted) > 0

    journal = control.journal()
    assert [line["event"] for line in journal] == [
        *("begun", "looked", "batch", "playbook", "node", "batch_done"),
        *("batch", "playbook", "node", "node", "batch_done", "ended"),
    ]
    begun = journal[0]
    assert (begun["name"], begun["inventory"], begun["hosts"]) == (
        "voice",
        [str(three.inventory)],
        ["gpu1", "gpu2", "gpu3"],
    )
    assert begun["who"].endswith("(cli)")
    folder = control.story().folder
    assert (folder / "layouts.yml").read_bytes() == control.layouts.read_bytes()
    for path in (folder, *folder.iterdir(), folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert not (folder / "runner").exists()

    again = control.run(*asked, "--json")
    assert (again.code, again.lines[-1]["result"]) == (0, "nothing_to_do")
    assert not again.events("batch")
    assert writes(three) == counted
    rolls = json.loads(control.run("status", "--json").out)["rolls"]
    assert [(roll["state"], roll["result"], roll["next"]) for roll in rolls] == [
        ("ended", "done", None),
        ("ended", "nothing_to_do", None),
    ]


def test_a_failing_canary_stops_the_roll_which_is_taken_up_again(control: Control, three: Fleet) -> None:
    """The program on the canary dies in the middle of its change."""
    three.node("gpu1").sim.fault(call=CREATE, times=1, kill=True)
    failed = control.run("rollout", control.layouts, "voice", "-i", three.inventory, "--steps", "1,2")
    assert failed.code == 2
    assert "gpu1: failed: gpu1 is not as it is to be" in failed.err
    assert "Batch 1 did not go well (gpu1). No later batch was begun." in failed.err
    id = control.story().id
    assert f"Next: migprov rollout --resume {id}" in failed.err
    assert writes(three)[1:] == [0, 0]
    told = control.run("status")
    assert f"{id}  voice: stopped (failed)" in told.out
    assert "failed: gpu1" in told.out
    assert "a scheduler may still keep away: gpu1" in told.out
    assert f"Next: migprov rollout --resume {id}" in told.out

    resumed = control.run("rollout", "--resume")
    assert resumed.code == 0, resumed.err
    assert "gpu1: its last change (layout, " in resumed.err
    assert "was interrupted" in resumed.err
    # It is the canary again, not a part of a larger batch.
    assert "Batch 1 of 2 gpu1" in resumed.err
    assert "Every node is as wanted." in resumed.err
    assert control.story().state == "ended"
    assert control.run("verify", control.layouts, "voice", "-i", three.inventory).code == 0


def test_not_ready(control: Control, two: Fleet) -> None:
    two.node("gpu2").stop()
    answer = control.run("rollout", control.layouts, "voice", "-i", two.inventory)
    assert answer.code == 4
    assert "gpu2: not ready: " in answer.err
    assert "Not ready: gpu2. Nothing was changed anywhere by this run." in answer.err
    assert writes(two)[0] == 0
    assert (control.story().state, control.story().last["result"]) == ("ended", "unreachable")

    holder = two.node("gpu1").sim.hold(gpu=1, memory_mib=9155)
    refused = control.run("rollout", control.layouts, "voice", "-i", two.inventory)
    assert refused.code == 2
    assert str(holder.pid) in refused.err
    assert writes(two)[0] == 0


@pytest.mark.long
def test_a_floor_that_leaves_no_node_to_change(control: Control, two: Fleet) -> None:
    asked = ("rollout", control.layouts, "voice", "-i", two.inventory, "--json")
    blocked = control.run(*asked, "--floor", "gpu=6")
    assert (blocked.code, blocked.lines[-1]["event"], blocked.lines[-1]["result"]) == (2, "stopped", "blocked")
    assert "at least 6 x gpu stay in service" in blocked.lines[-1]["reason"]
    assert writes(two) == [0, 0]
    # Before the second batch the fleet is read again: the first node serves other instances by then.
    stopped = control.run(*asked, "--floor", "gpu=5", "--max-unavailable", "gpu_nodes:1")
    assert [each["hosts"] for each in stopped.events("batch")] == [["gpu1"]]
    assert (stopped.code, len(stopped.events("looked")), stopped.lines[-1]["result"]) == (2, 2, "blocked")
    assert [count > 0 for count in writes(two)] == [True, False]


@pytest.mark.long
def test_the_health_of_a_batch_is_asked_for_again_after_the_soak(control: Control, two: Fleet) -> None:
    asked = control.folder / "asked"
    gate = ["sh", "-c", f"echo >> {asked}; test $(wc -l < {asked}) -lt 2"]
    given = json.dumps({"mig_layout_health_command": gate, "mig_layout_health_timeout": 0})
    roll = ("rollout", control.layouts, "voice", "-i", two.inventory, "--soak", "0.1", "-e", given, "--json")
    failed = control.run(*roll)
    assert (failed.code, failed.lines[-1]["result"], failed.lines[-1]["left"]) == (2, "failed", ["gpu1", "gpu2"])
    assert [(each["host"], each["result"]) for each in failed.events("node")] == [("gpu1", "done"), ("gpu1", "failed")]
    assert failed.events("node")[1]["message"].startswith("after the soak: ")
    assert failed.events("batch_done") == []
    assert [count > 0 for count in writes(two)] == [True, False]


@pytest.mark.long
def test_paused_after_the_canary_and_taken_up_with_the_layout_of_then(control: Control, two: Fleet) -> None:
    asked = ("rollout", control.layouts, "voice", "-i", two.inventory)
    paused = control.run(*asked, "--pause-after", "canary")
    assert paused.code == 0
    assert "Paused after 1 batch." in paused.err
    assert control.story().state == "paused"
    assert [count > 0 for count in writes(two)] == [True, False]
    counted = writes(two)[0]

    other = control.run("rollout", "--resume", control.layouts, "impossible", "-i", two.inventory)
    assert (other.code, "has name voice, and not impossible" in other.err) == (1, True)
    assert control.run("rollout", "--resume", "--steps", "2").code == 1
    control.layouts.write_text("version: v1\nmig-configs: {}\n")
    done = control.run("rollout", "--resume", control.story().id)
    assert done.code == 0, done.err
    assert "is not as it was when the roll began" in done.err
    assert [each["hosts"] for each in control.journal() if each["event"] == "batch"] == [["gpu1"], ["gpu2"]]
    assert writes(two)[0] == counted
    assert writes(two)[1] > 0
    over = control.run("rollout", "--resume", control.story().id)
    assert (over.code, "is ended (done)" in over.err) == (1, True)


@pytest.mark.long
def test_a_node_lost_between_two_batches_is_not_taken_for_done(control: Control, three: Fleet) -> None:
    """With limits the fleet is looked at before each batch: what is not known then is not as wanted."""
    request = Request((str(three.inventory),), str(control.layouts), "voice", steps="1", max_unavailable=("3",))
    told = []
    for event in rollout(request, folder=control.state / "migprov" / "rolls"):
        told.append(event)
        if isinstance(event, BatchDone) and event.number == 1:
            three.node("gpu1").reboot()  # the mode stays, the instances go
            three.node("gpu3").stop()
    over = told[-1]
    assert isinstance(over, Over)
    assert (over.state, over.result, over.done) == ("stopped", "not_ready", ("gpu2",))
    assert (over.failed, over.left) == (("gpu1", "gpu3"), ("gpu1", "gpu3"))
    assert over.reason == (
        "Not ready: gpu3. Nothing was changed there by this run. Not as wanted any more, or without an answer: gpu1."
    )
    assert [each.hosts for each in told if isinstance(each, BatchBegun)] == [("gpu1",), ("gpu2",)]
    assert writes(three)[2] == 0

    three.node("gpu3").start()
    resumed = control.run("rollout", "--resume")
    assert (resumed.code, control.story().state) == (0, "ended"), resumed.err
    assert control.run("verify", control.layouts, "voice", "-i", three.inventory).code == 0
