"""The playbooks, by their names in the collection: one batch after another, and where the roll stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .plays import Ansible, Run

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

LAYOUTS = Path(__file__).resolve().parents[2] / "inventories" / "layouts" / "voice.yml"
VOICE = ["-e", f"mig_layout_file={LAYOUTS}", "-e", "mig_layout_name=voice"]
APPLY = "Bring the GPUs to the layout"
DRIVER = "The driver is good enough"
READY = "Every node is ready"
PREFLIGHT = "The layout is possible on this node and nothing is in its way"
GUARD = "No node of an earlier batch was lost"
NAMES = ["gpu1", "gpu2", "gpu3"]


def roll(ansible: Ansible, *arguments: str) -> Run:
    return ansible.playbook("migprov.gpu.rollout", *VOICE, *arguments)


@pytest.fixture
def three(make_fleet: Callable[..., Fleet]) -> Fleet:
    return make_fleet(nodes=3)


def writes(fleet: Fleet) -> list[int]:
    return [node.sim.write_count() for node in fleet]


def test_a_roll_then_the_same_again(three: Fleet, before: Callable[[Fleet], Ansible]) -> None:
    ansible = before(three)
    planned = roll(ansible, "--check", "--diff")
    assert planned.rc == 0, planned.output
    assert planned.hosts(APPLY) == NAMES
    assert planned.hosts("Verify the layout", "skipped") == NAMES
    assert writes(three) == [0, 0, 0]

    done = roll(ansible)
    assert done.rc == 0, done.output
    order = [(task.task.rpartition(" : ")[2], task.host) for task in done.tasks if task.status == "ok"]
    verified = [order.index(("Verify the layout", name)) for name in NAMES]
    applied = [order.index((APPLY, name)) for name in NAMES]
    assert sorted([*verified, *applied]) == [index for pair in zip(applied, verified, strict=True) for index in pair]
    assert max(order.index((PREFLIGHT, name)) for name in NAMES) < applied[0]
    for name in NAMES:
        assert done.of(APPLY, name).result["changed"]
        assert done.of(APPLY, name).result["steps"] == planned.of(APPLY, name).result["steps"]

    counted = writes(three)
    assert min(counted) > 0
    again = roll(ansible)
    assert again.rc == 0
    assert not any(task.result.get("changed") for task in again.tasks)
    assert writes(three) == counted

    checked = ansible.playbook("migprov.gpu.verify", *VOICE)
    assert checked.rc == 0
    assert sorted(checked.hosts("Verify the layout")) == NAMES
    assert ansible.playbook("migprov.gpu.info", "--limit", "gpu2").hosts("Show them") == ["gpu2"]


def test_limit_and_tags(three: Fleet, before: Callable[[Fleet], Ansible]) -> None:
    ansible = before(three)
    verify = roll(ansible, "--tags", "verify", "--limit", "gpu2")
    assert (verify.rc, verify.hosts("Verify the layout", "failed")) == (2, ["gpu2"])
    assert writes(three) == [0, 0, 0]
    layout = roll(ansible, "--tags", "layout", "--limit", "gpu2")
    assert layout.rc == 0, layout.output
    assert layout.hosts(PREFLIGHT) == ["gpu2"]
    assert layout.hosts("Verify the layout") == []
    assert [count > 0 for count in writes(three)] == [False, True, False]


def test_a_layout_that_one_node_cannot_have_changes_no_node(
    make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]
) -> None:
    fleet = make_fleet(nodes=3, gpus=["3xA100-80GB", "3xA100-80GB", "3xA100-40GB"])
    run = roll(before(fleet))
    assert run.rc == 2
    assert run.hosts(PREFLIGHT, "failed") == ["gpu3"]
    assert "3g.40gb" in run.of(PREFLIGHT, "gpu3").result["msg"]
    assert run.of(READY).result["msg"].startswith("Not ready: gpu3 ")
    assert run.hosts(APPLY) == []
    assert writes(fleet) == [0, 0, 0]


def test_a_node_that_is_unreachable_from_the_start_changes_no_node(
    three: Fleet, before: Callable[[Fleet], Ansible]
) -> None:
    three.node("gpu2").stop()
    run = roll(before(three))
    assert run.rc != 0
    assert run.hosts(DRIVER, "unreachable") == ["gpu2"]
    assert sorted(run.hosts(PREFLIGHT)) == ["gpu1", "gpu3"]
    assert run.of(READY).result["msg"].startswith("Not ready: gpu2 (see above). Nothing was changed anywhere.")
    assert run.hosts(APPLY) == []
    assert writes(three) == [0, 0, 0]


def test_a_node_lost_in_the_first_batch_stops_the_second(three: Fleet, before: Callable[[Fleet], Ansible]) -> None:
    three.node("gpu1").stop()
    run = roll(before(three), "--skip-tags", "preflight", "-e", '{"mig_layout_steps": [2, 1]}')
    assert run.rc != 0
    assert run.hosts(APPLY) == ["gpu2"]
    assert run.hosts(GUARD, "failed") == ["gpu3"]
    assert "gpu1 failed or became unreachable" in run.of(GUARD, "gpu3").result["msg"]
    assert writes(three)[2] == 0


def test_a_node_that_refuses_stops_the_roll(three: Fleet, before: Callable[[Fleet], Ansible]) -> None:
    holder = three.node("gpu2").sim.hold(gpu=1, memory_mib=9155)
    run = roll(before(three), "--skip-tags", "preflight", "-e", "mig_layout_steps=1")
    assert run.rc == 2
    assert run.hosts(APPLY) == ["gpu1"]
    message = run.of("Stop the roll", "gpu2").result["msg"]
    assert message.startswith("gpu2 is not as it is to be: ")
    assert str(holder.pid) in message
    assert writes(three)[1:] == [0, 0]
    assert run.hosts("Stop the roll", "failed") == ["gpu2"]


def test_the_lab_inventory_rolls_its_own_layout(three: Fleet, before: Callable[[Fleet], Ansible]) -> None:
    """As it stands, but for the addresses: its hosts are the simulated nodes here."""
    ansible = before(three)
    lab = LAYOUTS.parents[1] / "lab"
    listed = ansible.command("ansible-inventory", "-i", str(lab), "--list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert json.loads(listed.stdout)["voice"]["hosts"] == [f"{name}.example.org" for name in NAMES]
    group = (lab / "group_vars" / "voice.yml").read_text().replace("{{ inventory_dir }}/..", str(LAYOUTS.parents[1]))
    beside = three.inventory.parent / "group_vars"
    beside.mkdir()
    (beside / "gpu_nodes.yml").write_text(group)
    planned = ansible.playbook("migprov.gpu.rollout", "--check")
    assert planned.rc == 0, planned.output
    assert planned.hosts(APPLY) == NAMES
