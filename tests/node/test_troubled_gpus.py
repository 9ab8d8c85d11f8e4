"""GPUs that are lost, that the driver wants reset, that wait for a remap: told apart, passed over, healed as asked."""

from __future__ import annotations

import pytest

from .conftest import entry

PAIR = ["3g.40gb", "3g.40gb"]


@pytest.mark.parametrize("gpu", ["A100-80GB", "H100-80GB-SXM"])
@pytest.mark.parametrize(
    ("fault", "code", "needs_reset"),
    [
        ({"lost": True}, "gpu_lost", False),
        ({"requires_reset": True}, "reset_required", True),
        ({"remap_pending": True}, None, True),
        ({"hypervisor": True}, None, False),
    ],
)
def test_info_tells_them_apart(machine, gpu, fault, code, needs_reset):
    node = machine(f"2x{gpu}")
    node.sim.fault(1, **fault)
    sound, troubled = node.ok("info")["after"]["gpus"]
    assert (sound["error"], sound["needs_reset"]) == (None, None)
    assert (troubled["error"] or {}).get("code") == code
    assert bool(troubled["needs_reset"]) == needs_reset


@pytest.mark.parametrize("fault", [{"lost": True}, {"requires_reset": True}])
def test_the_others_get_their_layout_and_the_troubled_one_is_left_alone(machine, fault):
    node = machine("2xA100-80GB")
    node.sim.fault(1, **fault)
    reply = node.layout(*PAIR)
    assert {gpu: row["result"] for gpu, row in reply["data"]["gpus"].items()} == {"0": "done", "1": "refused"}
    assert {write["gpu"] for write in node.sim.writes()} == {0}


def test_a_layout_says_that_a_reset_is_required(machine):
    node = machine("1xA100-80GB")
    node.sim.fault(0, requires_reset=True)
    error = node.refused("layout", "reset_required", entries=[entry(*PAIR)])
    assert "reset" in error["next"]


def test_rows_that_wait_for_a_remap_do_not_stand_in_the_way(machine):
    node = machine("1xH100-80GB-SXM")
    node.sim.fault(0, remap_pending=True)
    assert node.layout(*PAIR)["error"] is None


@pytest.mark.parametrize("fault", [{"requires_reset": True}, {"remap_pending": True}])
def test_reset_heals_just_those_that_need_it(machine, fault):
    node = machine("3xA100-80GB")
    node.sim.fault(1, **fault)
    reply = node.ok("reset")
    assert [(step["action"], step["gpu"]) for step in reply["steps"]] == [("reset_gpu", 1)]
    assert [gpu["resets"] for gpu in node.sim.show()["gpus"]] == [0, 1, 0]
    assert reply["after"]["gpus"][1]["error"] is None and reply["after"]["gpus"][1]["needs_reset"] is None
    assert node.ok("reset")["steps"] == []


def test_reset_of_a_gpu_that_waits_for_a_remap_stops_agents_and_names_work(machine):
    node = machine("1xA100-80GB")
    dcgm = node.sim.service("nvidia-dcgm")
    job = node.sim.hold(0, 100)
    node.sim.fault(0, remap_pending=True)
    error = node.refused("reset", "gpu_busy")
    assert [holder["pid"] for holder in error["holders"]] == [int(job)]
    node.sim.release(job)
    reply = node.ok("reset")
    assert [step["action"] for step in reply["steps"]] == ["stop_service", "reset_gpu", "start_service"]
    assert dcgm.active


def test_reset_of_a_gpu_that_requires_it_stops_agents(machine):
    node = machine("1xA100-80GB")
    dcgm = node.sim.service("nvidia-dcgm")
    node.sim.fault(0, requires_reset=True)
    reply = node.ok("reset")
    assert [step["action"] for step in reply["steps"]] == ["stop_service", "reset_gpu", "start_service"]
    assert dcgm.active


def test_reset_of_a_gpu_that_requires_it_names_work(machine):
    node = machine("1xA100-80GB")
    job = node.sim.hold(0, 100)
    node.sim.fault(0, requires_reset=True)
    error = node.refused("reset", "gpu_busy")
    assert [holder["pid"] for holder in error["holders"]] == [int(job)]


def test_a_lost_gpu_is_not_reset(machine):
    node = machine("2xA100-80GB")
    node.sim.fault(1, lost=True)
    assert node.call("reset")["steps"] == []
    assert [gpu["resets"] for gpu in node.sim.show()["gpus"]] == [0, 0]


@pytest.mark.parametrize("lost", [0, 2])
def test_a_lost_gpu_does_not_keep_another_from_its_reset(machine, lost):
    """nvidia-smi 535 was seen to look for a UUID on every GPU, and to give up at the lost one."""
    node = machine("3xA100-80GB")
    node.sim.fault(lost, lost=True)
    node.sim.fault(1, remap_pending=True)
    steps = node.call("reset")["steps"]
    assert [(step["action"], step["gpu"]) for step in steps] == [("reset_gpu", 1)]
    assert [gpu["resets"] for gpu in node.sim.show()["gpus"]] == [0, 1, 0]


def test_a_lost_gpu_is_not_reset_by_force_either(machine):
    node = machine("2xA100-80GB")
    node.sim.fault(1, lost=True)
    node.refused("reset", "gpu_lost", force=True, gpus=[1])


def test_a_reset_that_a_hypervisor_refuses_is_told(machine):
    node = machine("1xA100-80GB")
    node.sim.fault(0, hypervisor=True, remap_pending=True)
    error = node.call("reset")["error"]
    assert error["code"] == "reset_refused"
    assert "hypervisor" in error["next"]


def test_a_reset_that_reports_success_without_effect_is_not_believed(machine):
    node = machine("2xA100-80GB")
    node.sim.fault(0, remap_pending=True)
    node.sim.fault(1, hypervisor=True)
    smi = node.sim.directory / "bin" / "nvidia-smi"
    smi.unlink()
    smi.write_text("#!/bin/sh\n")
    smi.chmod(0o755)
    reply = node.call("reset", gpus=[0])
    assert (reply["error"]["code"], reply["error"]["gpu"]) == ("effect_missing", 0)
    assert "still needs one: rows of its memory" in reply["error"]["message"]
    error = node.call("mig_mode", enabled=True, gpus=[1])["error"]
    assert error["code"] == "reset_refused" and "left the MIG mode pending" in error["message"]
