"""A node that fails, at whichever stage of its turn, ends the roll with its batch, and leaves no neighbour half-way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .plays import Ansible
from .rolls import APPLY, CREATE, GUARD, NOWHERE, STOP, VERIFY, VOICE, rollout, set_for, ssh_that, writes

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

SKIP = ("--skip-tags", "preflight")


@pytest.mark.long
def test_all_stages_in_one_batch_then_the_same_again(
    make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible], tmp_path: Path
) -> None:
    """gpu2 fails at the look, gpu3 and gpu4 in the change, gpu5 at the health gate; gpu6 is the next batch."""
    fleet = make_fleet(nodes=6)
    ansible = before(fleet)
    holder = fleet.node("gpu2").sim.hold(gpu=1, memory_mib=512)
    fleet.node("gpu3").sim.fault(1, CREATE, error="UNKNOWN")
    fleet.node("gpu4").sim.fault(1, CREATE, kill=True, skip=1)
    ill = set_for(fleet, "gpu5", mig_layout_health_command=["test", "-e", str(tmp_path / "well")])
    run = rollout(ansible, *SKIP, mig_layout_steps=[5, 1], mig_layout_health_timeout=0)
    assert run.rc == 2
    assert sorted(run.hosts(VERIFY)) == ["gpu1", "gpu5"]
    said = {name: run.of(STOP, name).result["msg"] for name in run.hosts(STOP, "failed")}
    assert sorted(said) == ["gpu2", "gpu3", "gpu4", "gpu5"]
    assert str(holder.pid) in said["gpu2"]
    assert "Nothing was changed on it by this run." in said["gpu2"]
    assert APPLY in said["gpu3"]
    assert "Nothing was changed" not in said["gpu4"]
    assert "the health gate is not passed (Ask the health command on the node): exit status 1" in said["gpu5"]
    assert all(message.startswith(f"{name} is not as it is to be: ") for name, message in said.items())
    assert "gpu2, gpu3, gpu4, gpu5 failed or became unreachable" in run.of(GUARD, "gpu6").result["msg"]
    counted = writes(fleet)
    assert (counted[1], counted[5]) == (0, 0)

    fleet.node("gpu2").sim.release(holder.pid)
    for name in ("gpu3", "gpu4"):
        fleet.node(name).sim.clear_faults()
    ill.unlink()
    again = rollout(ansible, *SKIP, mig_layout_steps=[5, 1])
    assert again.rc == 0, again.output
    assert sorted(again.hosts(VERIFY)) == [node.name for node in fleet]
    assert [now == was for now, was in zip(writes(fleet), counted, strict=True)] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.long
def test_a_node_that_is_lost_in_its_turn(
    make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible], tmp_path: Path
) -> None:
    """At its third call, which is the change. The others of its batch finish, the next batch does not begin."""
    fleet = make_fleet(nodes=4)
    ansible = before(fleet)
    assert ansible.playbook("migprov.gpu.info").rc == 0  # the program is there: each task is one call from now on
    lost = set_for(fleet, "gpu2", ansible_ssh_executable=str(ssh_that(tmp_path / "lost", 3, "exit 255")))
    run = rollout(ansible, *SKIP, mig_layout_steps=[3, 1])
    assert run.rc != 0
    assert run.hosts(APPLY, "unreachable") == ["gpu2"]
    assert sorted(run.hosts(VERIFY)) == ["gpu1", "gpu3"]
    assert run.hosts(GUARD, "failed") == ["gpu4"]
    counted = writes(fleet)
    assert [count > 0 for count in counted] == [True, False, True, False]

    lost.unlink()
    assert rollout(ansible, *SKIP, mig_layout_steps=[3, 1]).rc == 0
    assert [now - was > 0 for now, was in zip(writes(fleet), counted, strict=True)] == [False, True, False, True]


def test_a_node_that_hangs_is_told_as_not_known(fleet: Fleet, ansible: Ansible) -> None:
    fleet.nodes[0].sim.fault(1, CREATE, hang_s=3600)
    run = rollout(ansible, *SKIP, mig_layout_node_timeout=5)
    assert run.rc == 2
    said = run.of(STOP).result["msg"]
    assert "Timed out after 5 second(s)" in said
    assert "the outcome is not known" in said
    assert "migprov history" in said
    assert "Nothing was changed" not in said


def test_settings_of_ansible_cfg_change_no_roll(
    make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible], tmp_path: Path
) -> None:
    """Another strategy would run past the end of a batch, and fatal errors end the turns of neighbours."""
    fleet = make_fleet(nodes=2)
    set_for(fleet, "gpu1", mig_layout_health_command=["test", "-d", str(tmp_path)])
    set_for(fleet, "gpu2", mig_layout_health_command="false")
    given = {**VOICE, "mig_layout_steps": "2", "mig_layout_health_timeout": 0, "mig_layout_soak": 1}
    settings = {"ANSIBLE_STRATEGY": "free", "ANSIBLE_ANY_ERRORS_FATAL": "true"}
    run = before(fleet).playbook("migprov.gpu.rollout", *SKIP, "-e", json.dumps(given), env=settings)
    assert run.rc == 2, run.output
    assert (run.hosts(STOP, "failed"), run.hosts(STOP, "skipped")) == (["gpu2"], ["gpu1"])
    said = run.of(STOP, "gpu2").result["msg"]
    assert "the health gate is not passed" in said
    assert "  " not in said


@pytest.mark.parametrize(("playbook", "steps"), [("rollout", "0"), ("rollout", [1, "x"]), ("rollback", "")])
def test_batches_that_are_none_are_refused(playbook: str, steps: object, tmp_path: Path) -> None:
    """Ansible itself takes 0 for all hosts at once, and ends with a traceback on a word."""
    given = json.dumps({**VOICE, "mig_layout_steps": steps})
    run = Ansible(tmp_path, None).playbook(f"migprov.gpu.{playbook}", *NOWHERE, *SKIP, "-e", given)
    assert run.rc == 2, run.output
    (only,) = run.tasks
    assert f"it is {json.dumps(steps)}. Nothing was changed anywhere." in only.result["msg"]
