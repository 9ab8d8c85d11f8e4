"""Where a hypervisor forbids resets: one reboot, with leave, of a node that nobody works on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .plays import VOICE, Ansible, Run

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet, FleetNode

ALLOWED = {"mig_layout_allow_reboot": True}
CUT = [{"devices": [0], "mig-enabled": True, "mig-devices": [{"profile": "2g.20gb", "start": 4}]}]
ROLL = '{"mig_layout_allow_reboot": true, "mig_layout_reboot_timeout": 60}'
HALVED = [{**CUT[0], "mig-devices": [{"profile": "2g.20gb", "start": 4, "compute-instances": ["1c.2g.20gb"] * 2}]}]


def role(ansible: Ansible, *arguments: str, **variables: Any) -> Run:
    return ansible.play(
        [{"name": "Role", "ansible.builtin.include_role": {"name": "migprov.gpu.mig_layout"}}],
        *arguments,
        vars={"mig_layout_config": VOICE, "mig_layout_reboot_timeout": 60, **variables},
    )


def boot_id(node: FleetNode) -> str:
    return (node.directory / "boot_id").read_text()


def logs(node: FleetNode) -> str:
    """What the reboot and the server of a node said."""
    return "".join((node.directory / name).read_text() for name in ("reboot.log", "sshd.log"))


def test_without_leave_the_error_says_what_to_set(fleet: Fleet, ansible: Ansible) -> None:
    node = fleet.nodes[0]
    node.sim.fault(hypervisor=True)
    boot = boot_id(node)
    run = role(ansible, "-e", "mig_layout_allow_reboot=false")  # a text, as everything that is given so
    assert run.rc == 2
    said = run.of("Leave to reboot").result["msg"]
    assert "GPU 1" in said
    assert "mig_layout_allow_reboot is true" in said
    assert run.hosts("Reboot the node") == run.hosts("Reboot the node", "failed") == []
    assert run.of("Bring the GPUs to the layout").result["error"]["code"] == "reset_refused"
    assert boot_id(node) == boot


def test_with_leave_it_reboots_once_and_goes_on(fleet: Fleet, ansible: Ansible) -> None:
    node = fleet.nodes[0]
    cut = ansible.play([{"name": "Cut", "migprov.gpu.mig_layout": {"config": HALVED}}])
    assert cut.result("Cut")["changed"]
    node.sim.fault(hypervisor=True)
    boot = boot_id(node)
    run = role(ansible, **ALLOWED)
    assert run.rc == 0, f"{run.output}\n{logs(node)}"
    assert run.result("Reboot the node")["rebooted"]
    assert boot_id(node) != boot
    assert run.result("Verify the layout")["verified"] == [1]
    assert run.result("Bring the GPUs to the layout after the reboot")["changed"]
    # GPU 0 is none of the layout's: it has again what the reboot took.
    after = ansible.play([{"name": "Verify", "migprov.gpu.mig_verify": {"config": HALVED}}])
    assert after.result("Verify")["differences"] == []

    boot, counted = boot_id(node), node.sim.write_count()
    again = role(ansible, **ALLOWED)
    assert again.rc == 0, again.output
    assert not any(task.result.get("changed") for task in again.tasks)
    assert (boot_id(node), node.sim.write_count()) == (boot, counted)


def test_a_node_that_somebody_works_on_is_not_rebooted(fleet: Fleet, ansible: Ansible) -> None:
    node = fleet.nodes[0]
    node.sim.fault(hypervisor=True)
    worker = node.sim.hold(0, 100)  # on a GPU that the layout leaves alone
    boot = boot_id(node)
    run = role(ansible, **ALLOWED)
    assert run.rc == 2
    refused = run.of("Nobody works on the GPUs of the node")
    assert (refused.status, refused.result["error"]["code"]) == ("failed", "gpu_busy")
    assert str(worker.pid) in refused.result["msg"]
    assert worker.alive
    assert boot_id(node) == boot


def test_a_reboot_that_does_not_help_is_not_tried_again(fleet: Fleet, ansible: Ansible, tmp_path: Path) -> None:
    """The GPU still refuses after it: the roll ends there."""
    node = fleet.nodes[0]
    node.sim.fault(hypervisor=True)
    boots = tmp_path / "boots"
    reboot = node.directory / "bin" / "reboot"
    reboot.write_text(
        f"#!/bin/sh\necho once >> {boots}\necho another > {node.directory}/boot_id\n"  # and nothing else happens
    )
    run = role(ansible, **ALLOWED)
    assert run.rc == 2
    assert boots.read_text() == "once\n"
    failed = run.of("Bring the GPUs to the layout after the reboot")
    assert (failed.status, failed.result["error"]["code"]) == ("failed", "reset_refused")


@pytest.mark.long
def test_the_rollout_reboots_too(make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]) -> None:
    fleet = make_fleet(nodes=2)
    fleet.nodes[1].sim.fault(hypervisor=True)
    boots = [boot_id(node) for node in fleet]
    layouts = Path(__file__).resolve().parents[2] / "inventories" / "layouts" / "voice.yml"
    run = before(fleet).playbook(
        "migprov.gpu.rollout",
        *("-e", f"mig_layout_file={layouts}", "-e", "mig_layout_name=voice", "-e", ROLL),
    )
    assert run.rc == 0, run.output
    assert run.hosts("Verify the layout") == ["gpu1", "gpu2"]
    assert [boot_id(node) != boot for node, boot in zip(fleet, boots, strict=True)] == [False, True]
