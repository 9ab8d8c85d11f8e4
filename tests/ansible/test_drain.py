"""Draining, holders, rollback and history through Ansible, with real processes in the way."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from migprov.mig.drain import AGENTS

from .plays import VOICE, Ansible

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

ROOT = Path(__file__).resolve().parents[2]
UNIT = "0::/system.slice/asr.service"
PLACED = [{"devices": [1], "mig-enabled": True, "mig-devices": [{"profile": "2g.20gb", "start": 4}]}]
HISTORY = {"name": "History", "migprov.gpu.mig_history_info": {}}
INFO = {"name": "Info", "migprov.gpu.mig_info": {}}


def layout(config: list[dict[str, Any]] = VOICE, name: str = "Layout", **options: Any) -> dict[str, Any]:
    return {"name": name, "migprov.gpu.mig_layout": {"config": config, **options}}


def drain(name: str = "Drain", **options: Any) -> dict[str, Any]:
    return {"name": name, "migprov.gpu.gpu_drain": {"gpus": [1], **options}, "ignore_errors": True}


def placed(state: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["profile"], each["start"]) for each in state["gpus"][1]["instances"]]


def test_holders_and_drain(fleet: Fleet, ansible: Ansible) -> None:
    sim = fleet.nodes[0].sim
    beside, worker = sim.hold(0, 100), sim.hold(1, 9830, command="python3 serve.py", cgroup=UNIT)
    watcher = sim.hold(1, kind="monitor")
    run = ansible.play(
        [
            {"name": "All", "migprov.gpu.gpu_holders_info": {}},
            {"name": "One", "migprov.gpu.gpu_holders_info": {"gpus": [1]}},
            {"name": "None such", "migprov.gpu.gpu_holders_info": {"gpus": [9]}, "ignore_errors": True},
            drain("Refuse"),
            {**drain("Would terminate", policy="terminate"), "check_mode": True},
        ]
    )
    every = run.result("All")
    assert {(each["gpu"], each["pid"]) for each in every["holders"]} == {(0, beside), (1, worker), (1, watcher)}
    assert (every["unread"], every["changed"]) == ([], False)
    (found,) = [each for each in run.result("One")["holders"] if each["kind"] != "open"]
    told = {key: found[key] for key in ("pid", "user", "unit", "memory_mib", "kind", "gi_id", "command")}
    assert told == {
        "pid": worker.pid,
        "user": getpass.getuser(),
        "unit": "asr.service",
        "memory_mib": 9830,
        "kind": "compute",
        "gi_id": None,
        "command": "python3",
    }
    assert run.of("None such").result["error"]["code"] == "unknown_gpu"
    refused = run.of("Refuse")
    assert (refused.status, refused.result["error"]["code"]) == ("failed", "gpu_busy")
    assert f"process {worker.pid} (python3, user {getpass.getuser()}, asr.service)" in refused.result["msg"]
    planned = run.result("Would terminate")
    assert [(step["action"], step["pid"]) for step in planned["steps"]] == [("end_process", worker.pid)]
    assert [holder.alive for holder in (beside, worker, watcher)] == [True, True, True]

    done = ansible.play([drain(policy="terminate", timeout=5), drain("Again", policy="terminate"), drain("Is free")])
    assert done.result("Drain")["steps"] == planned["steps"]
    assert [done.result(name)["changed"] for name in ("Drain", "Again", "Is free")] == [True, False, False]
    assert [holder.alive for holder in (beside, worker, watcher)] == [True, False, True]
    assert sim.write_count() == 0


def test_a_layout_that_ends_work_its_rollback_and_its_history(fleet: Fleet, ansible: Ansible) -> None:
    sim = fleet.nodes[0].sim
    beside, worker = sim.hold(0, 100), sim.hold(1, 100)
    back = {"name": "Rollback", "migprov.gpu.mig_rollback": {}}
    first = ansible.play([{**back, "ignore_errors": True}, layout(PLACED, drain="terminate")], "--check")
    assert first.of("Rollback").result["error"]["code"] == "no_history"
    assert first.result("Layout")["steps"][0]["action"] == "end_process"
    assert (worker.alive, sim.write_count()) == (True, 0)

    run = ansible.play([layout(PLACED, drain="terminate", drain_timeout=5), layout(name="Other"), INFO])
    assert run.result("Layout")["steps"] == first.result("Layout")["steps"]
    assert run.result("Layout")["gpus"] == {"1": {"result": "done", "error": None}}
    assert [holder.alive for holder in (beside, worker)] == [True, False]
    assert placed(run.result("Info")) == [("3g.40gb", 0), ("3g.40gb", 4)]

    writes = sim.write_count()
    planned = ansible.play([back], "--check", "--diff").result("Rollback")
    assert sim.write_count() == writes
    assert "2g.20gb" in planned["diff"]["after"]
    assert "2g.20gb" not in planned["diff"]["before"]

    hidden = {"name": "Quiet", "migprov.gpu.mig_rollback": {}, "no_log": True}
    run = ansible.play([back, {**INFO, "name": "Back"}, hidden, {**INFO, "name": "Forward"}, HISTORY])
    assert run.result("Rollback")["steps"] == planned["steps"]
    assert placed(run.result("Back")) == [("2g.20gb", 4)]
    assert placed(run.result("Forward")) == [("3g.40gb", 0), ("3g.40gb", 4)]
    changes = run.result("History")["changes"]
    assert [(each["task"], each["result"]) for each in changes] == [
        ("layout", "done"),
        ("layout", "done"),
        ("rollback", "done"),
        ("rollback", "done"),
    ]
    where = f"{getpass.getuser()}@{socket.gethostname()}"
    assert [each["who"] for each in changes] == [
        f"{where} (ansible, play.yml, task Layout)",
        f"{where} (ansible, play.yml, task Other)",
        f"{where} (ansible, play.yml, task Rollback)",
        f"{where} (ansible, play.yml)",
    ]


def test_a_layout_waits_for_work(fleet: Fleet, ansible: Ansible) -> None:
    (node,) = fleet.nodes
    worker = node.sim.hold(1, 100)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ansible.play, [layout(drain="wait", drain_timeout=120)])
        while not (node.home / ".local" / "state" / "migprov" / "journal.jsonl").exists():
            assert not running.done(), running.result().output
        assert (worker.alive, node.sim.write_count()) == (True, 0)
        worker.release()
        done = running.result().result("Layout")
    assert [step["action"] for step in done["steps"][:2]] == ["wait_for_process", "set_mig_mode"]


@pytest.mark.parametrize("module", ["mig_mode", "mig_instances", "gpu_reset"])
def test_the_other_modules_drain_too(module: str, fleet: Fleet, ansible: Ansible) -> None:
    sim = fleet.nodes[0].sim
    options: dict[str, Any] = {"gpus": [1]}
    own: dict[str, dict[str, Any]] = {
        "mig_mode": {"enabled": True},
        "mig_instances": {"instances": {}},
        "gpu_reset": {"force": True},
    }
    options |= own[module]
    device = None
    if module == "mig_instances":
        cut = ansible.play([layout()]).result("Layout")
        device = cut["after"]["gpus"][1]["instances"][0]["compute_instances"][0]["uuid"]
    beside, worker = sim.hold(0, 100), sim.hold(None if device else 1, 100, mig_uuid=device)
    ending = {"drain": "terminate", "drain_timeout": 5}
    run = ansible.play(
        [
            {"name": "Refuse", f"migprov.gpu.{module}": options, "ignore_errors": True},
            {"name": "Check", f"migprov.gpu.{module}": {**options, **ending}, "check_mode": True},
        ]
    )
    assert run.of("Refuse").result["error"]["code"] == "gpu_busy"
    assert run.result("Check")["steps"][0]["pid"] == worker.pid
    assert worker.alive
    done = ansible.play([{"name": "Do", f"migprov.gpu.{module}": {**options, **ending}}]).result("Do")
    assert done["steps"] == run.result("Check")["steps"]
    assert [holder.alive for holder in (beside, worker)] == [True, False]


def test_agents_of_ones_own_and_one_gpu_that_is_refused(fleet: Fleet, ansible: Ansible) -> None:
    sim = fleet.nodes[0].sim
    agent = sim.service("our-monitor", gpus=[1])
    sim.hold(2, 100)
    config = [*VOICE, {"devices": [2], "mig-enabled": True, "mig-devices": {}}]
    own = {"agents": ["our-monitor.service"]}
    run = ansible.play(
        [
            {**layout(config, "Stop", **own, stop_on_error=True), "ignore_errors": True},
            {**layout(config, "Part", **own), "ignore_errors": True},
        ]
    )
    stopped, part = run.of("Stop").result, run.of("Part").result
    assert (stopped["error"]["code"], stopped["changed"], stopped["steps"]) == ("gpu_busy", False, [])
    assert (part["error"]["code"], part["error"]["gpu"], part["changed"]) == ("gpu_busy", 2, True)
    assert {index: one["result"] for index, one in part["gpus"].items()} == {"1": "done", "2": "refused"}
    assert "GPU 1: done." in part["msg"]
    units = [(step["action"], step["unit"]) for step in part["steps"] if "unit" in step]
    assert units == [("stop_service", "our-monitor.service"), ("start_service", "our-monitor.service")]
    assert agent.active


def test_an_interrupted_change_is_a_warning(fleet: Fleet, ansible: Ansible) -> None:
    fleet.nodes[0].sim.fault(call="nvmlDeviceCreateGpuInstanceWithPlacement", times=1, kill=True)
    run = ansible.play([{**layout(), "ignore_errors": True}, INFO, layout(name="Again"), {**INFO, "name": "Fine"}])
    assert run.of("Layout").status == "failed"
    assert run.result("Info")["interrupted"]["task"] == "layout"
    (warning,) = run.result("Info")["warnings"]
    assert "was interrupted: its run died on the way" in str(warning)
    assert run.result("Again")["changed"]
    assert "interrupted" not in run.result("Fine")


@pytest.mark.long
def test_a_roll_past_work(make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]) -> None:
    fleet = make_fleet(nodes=2)
    worker = fleet.nodes[1].sim.hold(1, 100)
    ansible = before(fleet)
    what = ["-e", json.dumps({"mig_layout_config": VOICE})]
    look = "The layout is possible on this node and nothing is in its way"
    refused = ansible.playbook("migprov.gpu.rollout", *what)
    assert refused.rc == 2
    assert refused.hosts(look, "failed") == ["gpu2"]
    assert refused.of(look, "gpu2").result["error"]["code"] == "gpu_busy"
    assert [node.sim.write_count() for node in fleet] == [0, 0]
    for policy, action in (("wait", "wait_for_process"), ("terminate", "end_process")):
        planned = ansible.playbook("migprov.gpu.rollout", *what, "-e", f"mig_layout_drain={policy}", "--check")
        assert planned.rc == 0, planned.output
        assert planned.of(look, "gpu2").result["steps"][0]["action"] == action
    assert worker.alive
    done = ansible.playbook(
        "migprov.gpu.rollout", *what, "-e", "mig_layout_drain=terminate", "-e", "mig_layout_drain_timeout=5"
    )
    assert done.rc == 0, done.output
    assert not worker.alive
    assert sorted(done.hosts("Verify the layout")) == ["gpu1", "gpu2"]


def test_the_agents_of_the_role_are_those_that_are_known() -> None:
    role = ROOT / "roles" / "mig_layout"
    every = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    # The turn of a roll takes what one node takes, and what is the roll's own.
    specs = every["main"]["options"] | every["turn"]["options"]
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    assert tuple(defaults["mig_layout_agents"]) == tuple(specs["mig_layout_agents"]["default"]) == AGENTS
    for name, value in defaults.items():
        # What is put together out of other variables stands in the specification as people would write it.
        assert specs[name]["default"] == value or "{{" in str(value), name
