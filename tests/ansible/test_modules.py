"""Each module before a real sshd and a simulated driver: what it changes, reports and leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .plays import VOICE, Ansible

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

LAYOUT = {"name": "Layout", "migprov.gpu.mig_layout": {"config": VOICE}}
VERIFY = {"name": "Verify", "migprov.gpu.mig_verify": {"config": VOICE}}


def modes(info: dict[str, Any]) -> list[bool]:
    return [gpu["mig_current"] for gpu in info["gpus"]]


def profiles(info: dict[str, Any], gpu: int) -> list[tuple[str, int]]:
    return [(each["profile"], each["start"]) for each in info["gpus"][gpu]["instances"]]


def test_check_mode_writes_nothing_and_names_the_steps_of_the_run(fleet: Fleet, ansible: Ansible) -> None:
    sim = fleet.nodes[0].sim
    planned = ansible.play([LAYOUT], "--check", "--diff").result("Layout")
    assert planned["changed"]
    assert sim.write_count() == 0
    assert [(step["gpu"], step["action"]) for step in planned["steps"]] == [
        (1, "set_mig_mode"),
        *[(1, "create_gpu_instance"), (1, "create_compute_instance")] * 2,
    ]

    done = ansible.play([LAYOUT], "--diff").result("Layout")
    assert done["changed"]
    assert done["steps"] == planned["steps"] == done["planned"]
    assert done["diff"]["before"] == planned["diff"]["before"]
    assert done["diff"]["after"] == planned["diff"]["after"]
    assert done["diff"]["before"] != done["diff"]["after"]
    assert done["diff"]["after"].count("3g.40gb") == 2
    assert (planned["diff"]["after_header"], done["diff"]["after_header"]) == ("GPUs as they would be", "GPUs after")

    writes = sim.write_count()
    assert writes > 0
    again = ansible.play([LAYOUT, VERIFY])
    assert (again.result("Layout")["changed"], again.result("Layout")["steps"]) == (False, [])
    assert again.result("Verify")["differences"] == []
    assert again.result("Verify")["verified"] == [1]
    assert "diff" not in again.result("Layout")
    assert sim.write_count() == writes


def test_every_module_in_turn(fleet: Fleet, ansible: Ansible) -> None:
    sim = fleet.nodes[0].sim
    first = ansible.play(
        [
            {"name": "Driver", "migprov.gpu.gpu_driver": {}},
            {"name": "Info", "migprov.gpu.mig_info": {"profiles": True}},
            {"name": "No reset", "migprov.gpu.gpu_reset": {"gpus": "all"}},
            {"name": "Mode off already", "migprov.gpu.mig_mode": {"enabled": False, "gpus": ["all"]}},
        ]
    )
    info = first.result("Info")
    driver = first.result("Driver")
    assert driver["driver_version"] == info["driver_version"]
    assert [gpu["gpu"] for gpu in driver["gpus"]] == [0, 1, 2]
    assert [gpu["product"] for gpu in info["gpus"]] == ["A100-80GB"] * 3
    assert sorted(info["profiles"]) == ["0", "1", "2"]
    assert any("A100-SXM4-80GB" in line for line in info["summary"])
    assert [first.result(name)["changed"] for name in ("Driver", "Info", "No reset", "Mode off already")] == [False] * 4
    assert sim.write_count() == 0

    uuid = info["gpus"][2]["uuid"]
    instances = [{"profile": "3g.40gb", "start": 4}, {"profile": "2g.20gb", "compute_instances": ["1c.2g.20gb"] * 2}]
    second = ansible.play(
        [
            {"name": "Mode", "migprov.gpu.mig_mode": {"enabled": True, "gpus": ["{{ one }}", uuid]}},
            {"name": "Instances", "migprov.gpu.mig_instances": {"gpus": [1], "instances": {"3g.40gb": 2}}},
            {"name": "Placed", "migprov.gpu.mig_instances": {"gpus": [uuid], "instances": instances}},
            {"name": "Placed again", "migprov.gpu.mig_instances": {"gpus": [uuid], "instances": instances}},
            {"name": "Info", "migprov.gpu.mig_info": {}},
            VERIFY,
        ],
        "-e",
        "one=1",
    )
    assert [second.result(name)["changed"] for name in ("Mode", "Instances", "Placed")] == [True] * 3
    assert not second.result("Placed again")["changed"]
    assert {step["gpu"] for step in second.result("Mode")["steps"]} == {1, 2}
    info = second.result("Info")
    assert modes(info) == [False, True, True]
    assert sorted(profiles(info, 1)) == [("3g.40gb", 0), ("3g.40gb", 4)]
    placed = dict(profiles(info, 2))
    assert (sorted(placed), placed["3g.40gb"]) == (["2g.20gb", "3g.40gb"], 4)
    (halved,) = [each for each in info["gpus"][2]["instances"] if each["profile"] == "2g.20gb"]
    assert [each["profile"] for each in halved["compute_instances"]] == ["1c.2g.20gb"] * 2
    assert second.result("Verify")["changed"] is False

    third = ansible.play(
        [
            {"name": "None", "migprov.gpu.mig_instances": {"gpus": [1, 2], "instances": []}},
            {"name": "Mode", "migprov.gpu.mig_mode": {"enabled": False, "gpus": "all"}},
            {"name": "Reset", "migprov.gpu.gpu_reset": {"gpus": 0, "force": True}},
            {"name": "Info", "migprov.gpu.mig_info": {"processes": False}},
            {**VERIFY, "ignore_errors": True},
        ]
    )
    assert third.result("None")["changed"]
    assert third.result("Mode")["changed"]
    assert [step["action"] for step in third.result("Reset")["steps"]] == ["reset_gpu"]
    assert modes(third.result("Info")) == [False] * 3
    different = third.of("Verify")
    assert different.status == "failed"
    assert different.result["error"]["code"] == "not_as_wanted"
    assert different.result["differences"]
    assert different.result["differences"] == different.result["error"]["differences"]


def test_module_defaults_of_the_group(ansible: Ansible) -> None:
    run = ansible.play(
        [
            {"name": "Check", "migprov.gpu.mig_layout": {}, "check_mode": True},
            {"name": "Verify", "migprov.gpu.mig_verify": {}, "failed_when": False},
        ],
        module_defaults={"group/migprov.gpu.gpu": {"config": VOICE}},
    )
    assert {step["gpu"] for step in run.result("Check")["steps"]} == {1}
    assert run.result("Verify")["verified"] == [1]


def test_a_busy_gpu_is_refused_with_its_holder(fleet: Fleet, ansible: Ansible) -> None:
    sim = fleet.nodes[0].sim
    holder = sim.hold(gpu=1, memory_mib=9155)
    run = ansible.play([LAYOUT])
    failed = run.of("Layout")
    assert (run.rc, failed.status) == (2, "failed")
    error = failed.result["error"]
    assert (error["code"], error["gpu"]) == ("gpu_busy", 1)
    assert [each["pid"] for each in error["holders"]] == [holder.pid]
    assert str(holder.pid) in failed.result["msg"]
    assert "Next: " in failed.result["msg"]
    assert not failed.result["changed"]
    assert sim.write_count() == 0


IMPOSSIBLE = {
    "too many": ({"3g.40gb": 3}, "layout_impossible"),
    "not of this GPU": ({"1g.5gb": 7}, "unknown_profile"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_impossible_layout_is_refused_before_the_first_write(case: str, fleet: Fleet, ansible: Ansible) -> None:
    devices, code = IMPOSSIBLE[case]
    config = [*VOICE, {"devices": [2], "mig-enabled": True, "mig-devices": devices}]
    run = ansible.play([{"name": "Layout", "migprov.gpu.mig_layout": {"config": config}}])
    failed = run.of("Layout")
    assert (failed.result["error"]["code"], failed.result["error"]["gpu"]) == (code, 2)
    assert next(iter(devices)) in failed.result["msg"]
    assert fleet.nodes[0].sim.write_count() == 0


def test_a_layout_file_is_found_beside_the_inventory_and_in_the_current_folder_where_it_is_a_vault(
    ansible: Ansible,
) -> None:
    text = "version: v1\nmig-configs:\n  voice:\n    - devices: [1]\n      mig-enabled: false\n"
    assert ansible.inventory is not None
    tasks = [{"name": "Layout", "migprov.gpu.mig_layout": {"file": "{{ where }}.yml", "name": "voice"}}]
    (ansible.inventory.parent / "beside.yml").write_text(text)
    plays = ansible.folder / "plays"
    plays.mkdir()
    (ansible.folder / "here.yml").write_text(text)
    elsewhere = Ansible(plays, ansible.inventory)
    (ansible.folder / "password").write_text("not a secret\n")
    vault = ["--vault-password-file", str(ansible.folder / "password")]
    assert ansible.command("ansible-vault", "encrypt", *vault, "here.yml").returncode == 0
    for where, found in (("beside", elsewhere), ("here", ansible)):
        run = found.play(tasks, "--check", "-e", f"where={where}", *vault)
        assert not run.result("Layout")["changed"]
