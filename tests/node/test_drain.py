"""Work in the way: refused, waited for, or ended, and never anybody else's."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from migprov.mig import steps
from migprov.mig.errors import GpuBusy
from migprov.mig.steps import Step
from migprov.node import ending, processes
from migprov.sim import state

from .background import running, until
from .conftest import Machine, entry, profiles

PAIR = ["3g.40gb", "3g.40gb"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes processes of others")


def actions(reply: dict[str, Any]) -> list[str]:
    return [step["action"] for step in reply["steps"]]


def ended(reply: dict[str, Any]) -> list[int]:
    """The pids that a run ended, as it tells."""
    return [step["pid"] for step in reply["steps"] if step["action"] == "end_process"]


def uuids(reply: dict[str, Any], gpu: int = 0) -> list[tuple[str, int, str]]:
    """(profile, start, MIG device) of a GPU's instances."""
    rows = reply["after"]["gpus"][gpu]["instances"]
    return [(gi["profile"], gi["start"], gi["compute_instances"][0]["uuid"]) for gi in rows]


def terminate(timeout_s: float = 20.0, **more: Any) -> dict[str, Any]:
    return {"policy": "terminate", "timeout_s": timeout_s, **more}


# -- refuse ------------------------------------------------------------------------------------------------------------


def test_refuse_names_everybody(machine):
    node = machine()
    pids = [int(node.sim.hold(0, 100, kind=kind)) for kind in ("compute", "graphics", "mps", "monitor")]
    error = node.refused("layout", "gpu_busy", entries=[entry(*PAIR)])
    assert sorted(holder["pid"] for holder in error["holders"]) == sorted(pids)
    assert all(f"process {pid} (" in error["message"] for pid in pids)
    assert sorted(node.sim.holders()) == sorted(pids)


def test_the_drain_task_refuses_by_default_and_changes_nothing(machine):
    node = machine("2xA100-80GB")
    pid = int(node.sim.hold(1, 100))
    error = node.refused("drain", "gpu_busy")
    assert (error["gpu"], [holder["pid"] for holder in error["holders"]]) == (1, [pid])
    assert node.ok("drain", gpus=[0])["changed"] is False


# -- wait --------------------------------------------------------------------------------------------------------------


def test_wait_goes_on_when_the_process_has_left(machine):
    node = machine()
    pid = node.sim.hold(0, 100)
    drain = {"policy": "wait", "timeout_s": 60}
    with running(node, "layout", entries=[entry(*PAIR)], drain=drain) as run:
        run.until_journal()
        assert node.sim.write_count() == 0
        node.sim.release(pid)
        reply = run.reply()
    assert reply["error"] is None
    assert actions(reply)[0] == "wait_for_process"
    assert sorted(name for name, _ in profiles(reply)) == PAIR


def test_wait_gives_up_and_names_the_process(machine):
    node = machine()
    pid = node.sim.hold(0, 100, command="trainer")
    reply = node.call("layout", entries=[entry(*PAIR)], drain={"policy": "wait", "timeout_s": 0.1})
    assert reply["error"]["code"] == "gpu_busy"
    assert f"process {int(pid)} (trainer, user" in reply["error"]["message"]
    assert not reply["changed"] and pid.alive
    assert node.sim.write_count() == 0


def test_one_deadline_for_all_that_is_waited_for(machine):
    node = machine("3xA100-80GB")
    for gpu in range(3):
        node.sim.hold(gpu, 100)
    began = time.monotonic()
    reply = node.call("drain", drain={"policy": "wait", "timeout_s": 1.5})
    assert time.monotonic() - began < 3 * 1.5
    assert {row["result"] for row in reply["data"]["gpus"].values()} == {"refused"}


def test_a_run_that_waits_can_be_told_to_end(machine):
    node = machine()
    pid = node.sim.hold(0, 100)
    drain = {"policy": "wait", "timeout_s": 3600}
    with running(node, "layout", entries=[entry(*PAIR)], drain=drain) as run:
        run.until_journal()
        run.child.send_signal(signal.SIGTERM)
        reply = run.reply()
    assert reply["error"]["code"] == "stopped"
    assert not reply["changed"] and pid.alive
    assert node.sim.write_count() == 0


# -- terminate ---------------------------------------------------------------------------------------------------------


def test_terminate_ends_what_obeys(machine):
    node = machine()
    pids = [int(node.sim.hold(0, 100)) for _ in range(2)]
    reply = node.call("layout", entries=[entry(*PAIR)], drain=terminate())
    assert reply["error"] is None
    assert sorted(ended(reply)) == sorted(pids)
    assert node.sim.holders() == []


def test_what_ignores_sigterm_is_killed_at_the_deadline(machine):
    node = machine()
    pid = node.sim.hold(0, 100, ignores_term=True)
    reply = node.call("drain", drain=terminate(0.3))
    assert reply["error"] is None
    assert ended(reply) == [int(pid)] and not pid.alive
    assert reply["after"]["gpus"][0]["processes"] == []


def test_what_obeys_is_not_waited_for_to_the_deadline(machine):
    node = machine()
    node.sim.hold(0, 100)
    began = time.monotonic()
    assert node.call("drain", drain=terminate(600))["error"] is None
    assert time.monotonic() - began < 60


@needs_root
def test_processes_of_another_user_and_in_a_container_are_ended_too(machine):
    node = machine()
    nobody = pwd.getpwnam("nobody").pw_uid
    pids = [
        int(node.sim.hold(0, 100, user=nobody)),
        int(node.sim.hold(0, 100, cgroup="0::/system.slice/docker-" + "ab" * 32 + ".scope")),
    ]
    reply = node.call("drain", drain=terminate())
    assert reply["error"] is None
    assert sorted(ended(reply)) == sorted(pids)


@needs_root
def test_who_may_not_end_a_process_is_told_so(machine):
    node = machine()
    pid = node.sim.hold(0, 100)
    step = step_for(int(pid))
    child = os.fork()
    if child == 0:
        os.setuid(pwd.getpwnam("nobody").pw_uid)
        try:
            ending.ask([step])
        except GpuBusy as error:
            os._exit(7 if "may not be ended by this user" in error.message else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert pid.alive


def test_only_what_runs_in_instances_that_go_is_ended(machine):
    node = machine("2xA100-80GB")
    before = node.layout("3g.40gb", "2g.20gb", "2g.20gb")
    (kept,) = [uuid for profile, _, uuid in uuids(before) if profile == "3g.40gb"]
    gone = [uuid for profile, _, uuid in uuids(before) if profile == "2g.20gb"]
    neighbour = node.sim.hold(kept, 100)
    began = step_for(int(neighbour))
    elsewhere = node.sim.hold(uuids(before, 1)[0][2], 100)
    monitor = node.sim.hold([0, 1], 0, kind="monitor")
    losers = [int(node.sim.hold(uuid, 100)) for uuid in gone]
    reply = node.call("layout", entries=[entry("3g.40gb", "3g.40gb", gpus=[0])], drain=terminate())
    assert reply["error"] is None
    assert sorted(ended(reply)) == sorted(losers)
    assert neighbour.alive and step_for(int(neighbour)) == began
    assert elsewhere.alive and monitor.alive
    assert kept in [uuid for _, _, uuid in uuids(reply)]


def test_a_mode_change_ends_all_that_is_on_that_gpu_and_none_on_others(machine):
    node = machine("2xA100-80GB")
    here = [int(node.sim.hold(0, 100)), int(node.sim.hold(0, 0, kind="monitor"))]
    there = node.sim.hold(1, 100)
    reply = node.call("mig_mode", enabled=True, gpus=[0], drain=terminate())
    assert reply["error"] is None
    assert sorted(ended(reply)) == sorted(here)
    assert there.alive


def test_a_job_on_two_gpus_is_ended_once(machine):
    node = machine("2xA100-80GB")
    node.sim.hold([0, 1], 100)
    reply = node.call("layout", entries=[entry("7g.80gb")], drain=terminate())
    assert reply["error"] is None
    assert [len(gpu["instances"]) for gpu in reply["after"]["gpus"]] == [1, 1]


def test_check_mode_says_who_would_be_ended_and_ends_nobody(machine):
    node = machine()
    pid = node.sim.hold(0, 100)
    planned = node.call("layout", check=True, entries=[entry(*PAIR)], drain=terminate())
    assert ended(planned) == [int(pid)] and pid.alive
    done = node.call("layout", entries=[entry(*PAIR)], drain=terminate())
    assert done["steps"] == planned["steps"]


def test_a_drained_node_stays_as_it_is_cut(machine):
    node = machine()
    before = node.layout(*PAIR)
    for _, _, uuid in uuids(before):
        node.sim.hold(uuid, 100)
    monitor = node.sim.hold(0, 0, kind="monitor")
    writes = node.sim.write_count()
    reply = node.call("drain", drain=terminate())
    assert reply["error"] is None and len(ended(reply)) == 2
    assert node.sim.write_count() == writes and uuids(reply) == uuids(before)
    assert monitor.alive


# -- the driver needs a moment -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["nvmlComputeInstanceDestroy", "nvmlGpuInstanceDestroy"])
def test_the_moment_in_which_the_driver_still_says_in_use_is_waited_out(machine, call):
    node = machine()
    (mig,) = [uuid for _, _, uuid in uuids(node.layout("7g.80gb"))]
    node.sim.hold(mig, 100)
    node.sim.fault(0, call=call, error="IN_USE", times=3)
    reply = node.call("layout", entries=[entry(*PAIR)], drain=terminate())
    assert reply["error"] is None
    assert sorted(name for name, _ in profiles(reply)) == PAIR


def test_in_use_without_anybody_ended_is_told_at_once(machine):
    node = machine()
    node.layout("7g.80gb")
    node.sim.fault(0, call="nvmlComputeInstanceDestroy", error="IN_USE", times=1)
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "gpu_busy"
    assert profiles(reply) == [("7g.80gb", 0)]


def test_a_process_that_comes_back_is_named_and_nothing_is_lost(machine):
    node = machine()
    (mig,) = [uuid for _, _, uuid in uuids(node.layout("7g.80gb"))]
    service = node.sim.service("asr", mig_uuid=mig, kind="compute", memory_mib=100, restart=True)
    first = service.pid
    # the driver calls the instance in use until the service is back for certain
    node.sim.fault(0, call="nvmlComputeInstanceDestroy", error="IN_USE")
    reply = node.call("layout", entries=[entry(*PAIR)], drain=terminate())
    node.sim.clear_faults()
    assert ended(reply) == [first]
    assert reply["error"]["code"] == "gpu_busy"
    second = until(lambda: service.pid if service.pid != first else 0, "its return")
    assert f"process {second} (" in reply["error"]["message"] and "asr.service" in reply["error"]["message"]
    assert [holder["unit"] for holder in reply["error"]["holders"]] == ["asr.service"]
    assert profiles(reply) == [("7g.80gb", 0)]
    assert uuids(reply)[0][2] == mig
    # once the operator has stopped it, or has said that it may be stopped, the same run goes through
    again = node.call("layout", entries=[entry(*PAIR)], drain=terminate(agents=["asr.service"]))
    assert actions(again)[0] == "stop_service"
    assert sorted(name for name, _ in profiles(again)) == PAIR


# -- never by mistake --------------------------------------------------------------------------------------------------


def step_for(pid: int, start_ticks: int | None = None) -> Step:
    who = processes.identity(pid)
    assert who is not None
    ticks = who.start_ticks if start_ticks is None else start_ticks
    return Step(steps.END_PROCESS, 0, "GPU-x", pid=pid, start_ticks=ticks, command=who.command, user=who.user)


def test_another_process_that_has_the_pid_by_now_is_not_signalled(machine):
    pid = machine().sim.hold(0, 100)
    fresh = step_for(int(pid))
    assert fresh.start_ticks is not None
    ending.ask([fresh._replace(start_ticks=fresh.start_ticks - 1)])
    ending.end(fresh._replace(start_ticks=fresh.start_ticks - 1), time.monotonic())
    ending.wait(fresh._replace(start_ticks=fresh.start_ticks - 1), time.monotonic() + 5)
    assert pid.alive
    ending.ask([fresh])
    ending.end(fresh, time.monotonic() + 20)
    assert not pid.alive


def test_a_zombie_is_not_waited_for():
    with subprocess.Popen(["sleep", "600"]) as child:
        step = step_for(child.pid)
        child.kill()
        until(lambda: ") Z" in Path(f"/proc/{child.pid}/stat").read_text(), "a zombie")
        ending.wait(step, time.monotonic())
        ending.end(step, time.monotonic())


@pytest.mark.parametrize("pid", [1, os.getpid(), os.getppid()], ids=["init", "itself", "its parent"])
def test_what_the_run_depends_on_is_never_signalled(pid, monkeypatch):
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *args: sent.append(args))
    with pytest.raises(GpuBusy, match="depends on"):
        ending.ask([step_for(pid)])
    with pytest.raises(GpuBusy, match="depends on"):
        ending.end(step_for(pid), time.monotonic())
    assert sent == []


def test_a_session_that_has_a_gpu_open_and_starts_the_run_survives_it(machine):
    """Somebody works on the GPU in the very shell that starts migprov."""
    node = machine()
    code = """
import json, subprocess, sys
kept = open(sys.argv[1])
def run():
    request = {"protocol": 1, "task": "layout", "params": json.loads(sys.argv[3])}
    middle = [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"]
    return subprocess.run([*middle, sys.executable, "-S", "-E", sys.argv[2]], input=json.dumps(request).encode())
run()
"""
    device = str(Path(node.env()["MIGPROV_DEV"]) / "nvidia0")
    params = json.dumps({"entries": [entry("7g.80gb")], "drain": terminate(1)})
    done = subprocess.run(
        [sys.executable, "-c", code, device, str(node.pyz), params], env=node.env(), capture_output=True, check=False
    )
    assert done.returncode == 0, done
    reply = json.loads(done.stdout)
    assert reply["error"]["code"] == "gpu_busy"
    assert "depends on" in reply["error"]["message"]
    assert node.sim.write_count() == 0


@needs_root
def test_a_number_that_means_somebody_else_here_is_never_signalled(machine):
    """In a pid namespace of its own the driver's number may be that of an innocent process."""
    node: Machine = machine()
    other = Path(node.env()["MIGPROV_DEV"]) / "zero"
    other.touch()
    with other.open() as device, subprocess.Popen(["sleep", "600"], stdin=device) as innocent:
        holder = node.sim.hold(0, 77)
        try:
            _say_that_the_holder_is(node, innocent.pid)
            listed = node.ok("info")["after"]["gpus"][0]["processes"]
            assert [(p["pid"], p["memory_mib"]) for p in listed if p["kind"] == "compute"] == [(innocent.pid, 77)]
            node.call("drain", drain=terminate(0.2))
            assert innocent.poll() is None
        finally:
            innocent.kill()
            os.kill(holder, signal.SIGKILL)  # the node no longer knows it


def _say_that_the_holder_is(node: Machine, pid: int) -> None:
    """The driver lists a process under a number that another process has in this namespace."""
    with state.changing(node.sim.directory / "state") as raw:
        raw.processes[0].pid = pid
        raw.processes[0].view += 1  # as of another pid namespace
