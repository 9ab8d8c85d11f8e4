"""Services that are known to keep GPUs open: stopped through systemctl, and started again whatever happens."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from .background import running, until
from .conftest import Machine, entry, profiles

PAIR = ["3g.40gb", "3g.40gb"]
DCGM, PERSISTENCED = "nvidia-dcgm.service", "nvidia-persistenced.service"


def services(reply: dict[str, Any]) -> list[tuple[str, str]]:
    """The service steps of a run, in order."""
    return [(step["action"], step["unit"]) for step in reply["steps"] if "unit" in step]


def test_agents_are_stopped_for_a_mode_change_and_started_again(machine):
    node = machine("2xA100-80GB")
    dcgm = node.sim.service("nvidia-dcgm", gpus=[0, 1], restart=True)
    persistenced = node.sim.service("nvidia-persistenced", gpus=[0, 1])
    other = node.sim.service("sshd", gpus=[])
    before = {service: service.pid for service in (dcgm, persistenced, other)}
    reply = node.layout(*PAIR)
    assert reply["error"] is None
    assert services(reply) == [
        ("stop_service", DCGM),
        ("stop_service", PERSISTENCED),
        ("start_service", PERSISTENCED),
        ("start_service", DCGM),
    ] or services(reply) == [
        ("stop_service", PERSISTENCED),
        ("stop_service", DCGM),
        ("start_service", DCGM),
        ("start_service", PERSISTENCED),
    ]
    assert [step["action"] for step in reply["steps"]].count("set_mig_mode") == 2
    assert dcgm.active and persistenced.active
    assert {dcgm.pid, persistenced.pid}.isdisjoint(before.values())
    assert other.pid == before[other]
    again = node.layout(*PAIR)
    assert (again["changed"], again["steps"]) == (False, [])


@pytest.mark.parametrize("gpu", ["H100-80GB-SXM", "H200-141GB"])
def test_agents_stay_where_the_mode_changes_at_once(machine, gpu):
    node = machine(f"1x{gpu}")
    dcgm = node.sim.service("nvidia-dcgm")
    pid = dcgm.pid
    reply = node.call("mig_mode", enabled=True)
    assert reply["error"] is None
    assert services(reply) == []
    assert dcgm.pid == pid


def test_agents_stay_where_only_instances_change(machine):
    node = machine()
    node.layout("7g.80gb")
    dcgm = node.sim.service("nvidia-dcgm")
    pid = dcgm.pid
    assert services(node.layout(*PAIR)) == []
    assert dcgm.pid == pid


def test_an_agent_that_is_not_known_is_work_until_the_request_names_it(machine):
    node = machine()
    agent = node.sim.service("site-monitor")
    error = node.refused("layout", "gpu_busy", entries=[entry(*PAIR)])
    assert [holder["unit"] for holder in error["holders"]] == ["site-monitor.service"]
    reply = node.call("layout", entries=[entry(*PAIR)], drain={"agents": ["site-monitor.service"]})
    assert reply["error"] is None
    assert services(reply) == [("stop_service", "site-monitor.service"), ("start_service", "site-monitor.service")]
    assert agent.active


def test_the_list_of_agents_replaces_the_known_ones(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    pid = dcgm.pid
    node.refused("layout", "gpu_busy", entries=[entry(*PAIR)], drain={"agents": []})
    assert dcgm.pid == pid


def test_the_fabric_manager_is_no_agent(machine):
    """Ampere GPUs on an NVSwitch can be reset only while it runs."""
    node = machine()
    node.sim.service("nvidia-fabricmanager")
    node.refused("layout", "gpu_busy", entries=[entry(*PAIR)])


def test_work_beside_an_agent_keeps_both(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    pid, job = dcgm.pid, node.sim.hold(0, 100)
    error = node.refused("layout", "gpu_busy", entries=[entry(*PAIR)])
    assert [holder["pid"] for holder in error["holders"]] == [int(job)]
    assert dcgm.pid == pid


def test_check_mode_stops_nothing(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    pid = dcgm.pid
    planned = node.layout(*PAIR, check=True)
    assert services(planned) == [("stop_service", DCGM), ("start_service", DCGM)]
    assert dcgm.pid == pid
    assert node.layout(*PAIR)["steps"] == planned["steps"]


# -- whatever happens in between ---------------------------------------------------------------------------------------


def test_started_again_when_a_later_step_fails(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    node.sim.fault(0, call="nvmlDeviceCreateGpuInstanceWithPlacement", error=999)
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "nvml"
    assert services(reply) == [("stop_service", DCGM), ("start_service", DCGM)]
    assert dcgm.active


def test_started_again_when_the_mode_does_not_change(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    node.sim.fault(0, hypervisor=True)
    assert node.layout(*PAIR)["error"]["code"] == "reset_refused"
    assert dcgm.active


def test_started_again_when_work_does_not_leave(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    node.sim.hold(0, 100)
    reply = node.call("layout", entries=[entry(*PAIR)], drain={"policy": "wait", "timeout_s": 0.1})
    assert reply["error"]["code"] == "gpu_busy"
    assert dcgm.active


def test_started_again_when_the_driver_hangs(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    node.sim.fault(0, call="nvmlDeviceSetMigMode", hang_s=3600)
    request = {"protocol": 1, "task": "layout", "params": {"entries": [entry(*PAIR)]}, "step_limit_s": 1.0}
    reply = node.raw(request)
    assert reply["error"]["code"] == "driver_hangs"
    assert dcgm.active


def test_started_again_when_the_run_is_told_to_end(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    first = dcgm.pid
    node.sim.hold(0, 100)
    drain = {"policy": "wait", "timeout_s": 3600}
    with running(node, "layout", entries=[entry(*PAIR)], drain=drain) as run:
        until(lambda: not dcgm.active, "the stop of the agent")
        run.child.send_signal(signal.SIGTERM)
        reply = run.reply()
    assert reply["error"]["code"] == "stopped"
    assert services(reply) == [("stop_service", DCGM), ("start_service", DCGM)]
    assert dcgm.active and dcgm.pid != first
    assert node.sim.write_count() == 0


def killed_while_the_agent_is_stopped(node: Machine) -> None:
    job = node.sim.hold(0, 100)
    (dcgm,) = node.sim.services()
    drain = {"policy": "wait", "timeout_s": 3600}
    with running(node, "layout", entries=[entry(*PAIR)], drain=drain) as run:
        until(lambda: not dcgm.active, "the stop of the agent")
        run.child.kill()
        run.child.wait()
    assert not dcgm.active
    node.sim.release(job)


def test_started_by_the_next_run_when_the_first_was_killed(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    killed_while_the_agent_is_stopped(node)
    reply = node.layout(*PAIR)
    assert reply["error"] is None
    assert reply["data"]["interrupted"]["services"] == [DCGM]
    assert services(reply) == [("start_service", DCGM)]
    assert dcgm.active
    assert sorted(name for name, _ in profiles(reply)) == PAIR
    assert "interrupted" not in node.layout(*PAIR)["data"]


def test_started_by_the_next_run_also_when_it_has_nothing_else_to_do(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    killed_while_the_agent_is_stopped(node)
    reply = node.call("layout", entries=[entry(enabled=False)])
    assert reply["error"] is None
    assert services(reply) == [("start_service", DCGM)]
    assert dcgm.active and node.sim.write_count() == 0


def test_started_by_the_next_run_also_when_that_is_refused(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    killed_while_the_agent_is_stopped(node)
    node.sim.hold(0, 100)
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "gpu_busy"
    assert dcgm.active and node.sim.write_count() == 0


def test_what_somebody_has_started_meanwhile_is_left_alone(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    killed_while_the_agent_is_stopped(node)
    dcgm.start()
    pid = dcgm.pid
    reply = node.call("layout", entries=[entry(enabled=False)])
    assert reply["steps"] == [] and dcgm.pid == pid


# -- services that fail ------------------------------------------------------------------------------------------------


def test_a_service_that_does_not_stop_is_named_and_nothing_is_changed(machine):
    node = machine()
    dcgm = node.sim.service("nvidia-dcgm")
    dcgm.fail("stop")
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "service_failed"
    assert f"systemctl stop {DCGM} answered 1: Failed to stop" in reply["error"]["message"]
    assert f"systemctl status {DCGM}" in reply["error"]["next"]
    assert node.sim.write_count() == 0
    assert dcgm.active


def test_a_service_that_does_not_start_again_is_named_and_the_layout_stands(machine):
    node = machine()
    node.sim.service("nvidia-persistenced")
    dcgm = node.sim.service("nvidia-dcgm")
    dcgm.fail("start")
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "service_failed"
    assert f"systemctl start {DCGM} answered 1: Job for {DCGM} failed" in reply["error"]["message"]
    assert sorted(name for name, _ in profiles(reply)) == PAIR
    assert {service.unit: service.active for service in node.sim.services()} == {PERSISTENCED: True, DCGM: False}
    assert ("start_service", DCGM) not in services(reply)


def test_an_agent_whose_unit_systemd_does_not_know_is_named(machine):
    node = machine()
    pid = node.sim.hold(0, 0, kind="monitor", cgroup=f"0::/system.slice/{DCGM}")
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "service_failed"
    assert DCGM in reply["error"]["message"]
    assert pid.alive and node.sim.write_count() == 0


def test_without_systemctl_the_agent_is_named(machine, monkeypatch):
    node = machine()
    service = node.sim.service("nvidia-dcgm")
    (node.sim.directory / "bin" / "systemctl").unlink()
    empty = {**node.env(), "PATH": f"{node.sim.directory / 'bin'}:{Path(sys.executable).parent}"}
    monkeypatch.setattr(node, "env", lambda: empty)
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "service_failed"
    assert DCGM in reply["error"]["message"]
    assert node.sim.write_count() == 0
    assert node.sim.supervisors() and service.unit == DCGM


def test_an_agent_inside_an_instance_is_stopped_when_that_goes(machine):
    node = machine()
    (mig,) = [gi["compute_instances"][0]["uuid"] for gi in node.layout("7g.80gb")["after"]["gpus"][0]["instances"]]
    exporter = node.sim.service("dcgm-exporter", mig_uuid=mig, kind="compute", memory_mib=10)
    reply = node.layout(*PAIR)
    assert services(reply)[0] == ("stop_service", "dcgm-exporter.service")
    assert sorted(name for name, _ in profiles(reply)) == PAIR
    # its instance is gone, so it cannot come back: that is told, and the layout stands
    assert reply["error"]["code"] == "service_failed"
    assert not exporter.active
    assert os.path.isdir(node.sim.directory)
