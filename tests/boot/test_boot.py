"""Boots: a real systemd starts migprov-restore.service as the role installed it, before a simulated driver."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .conftest import SAVED, UNIT, Machine

SEES = "slurmd.service"  # one of those that use GPUs: it writes down what it finds when it starts
SEEN = "var/lib/seen"


def with_user_of_gpus(machine: Machine) -> Machine:
    """The same machine with a service that uses its GPUs."""
    reads = '{"protocol": 1, "task": "info"}'
    environment = [f'Environment="{name}={value}"' for name, value in machine.environment.items()]
    machine.inside.write("/usr/local/sbin/sees", f"#!/bin/sh\necho '{reads}' | python3 $1 >/{SEEN}\n")
    lines = ["Type=oneshot", "RemainAfterExit=yes", f"ExecStart=/bin/sh /usr/local/sbin/sees {machine.program()}"]
    machine.service(SEES, *lines, *environment)
    return machine


def seen(machine: Machine) -> list[tuple[str, int]]:
    """The GPU instances that the service found when it started."""
    state = json.loads((machine.inside.root / SEEN).read_text())["after"]
    return [(gi["profile"], gi["start"]) for gi in state["gpus"][0]["instances"]]


def order(machine: Machine) -> None:
    """The restore had ended when the service began."""
    (ended,) = machine.inside.show(UNIT, "ExecMainExitTimestampMonotonic")
    (began,) = machine.inside.show(SEES, "ExecMainStartTimestampMonotonic")
    assert 0 < int(ended) <= int(began)


def one_line(machine: Machine, priority: str) -> str:
    """The one line of the restore in the journal."""
    lines = machine.journal()
    assert len(lines) == 1, lines
    assert lines[0]["PRIORITY"] == priority
    return str(lines[0]["MESSAGE"])


def came_up_without(machine: Machine) -> str:
    """The machine is up, the service that uses GPUs too, and the restore failed, once; the answer is its line."""
    assert machine.inside.show(UNIT, "ActiveState", "Result", "NRestarts") == ["failed", "exit-code", "0"]
    assert machine.inside.show("multi-user.target", "ActiveState") == ["active"]
    assert machine.inside.show(SEES, "ActiveState") == ["active"]
    order(machine)
    line = one_line(machine, priority="3")
    assert line.startswith("migprov: could not restore: ")
    return line


HALVES = [("3g.40gb", 0), ("3g.40gb", 4)]


@pytest.mark.parametrize("gpus", ["1xA100-80GB", "1xH100"])
def test_the_layout_is_there_before_what_uses_it_at_every_boot(machine: Callable[..., Machine], gpus: str) -> None:
    node = with_user_of_gpus(machine(gpus))
    for boot in ("first", "second", "third"):
        state = node.inside.boot() if boot == "first" else node.reboot()
        assert state == "running", boot
        assert seen(node) == HALVES
        order(node)
        assert node.inside.show(UNIT, "ActiveState", "SubState") == ["active", "exited"]
        assert one_line(node, priority="6").startswith("migprov: GPU 0: layout restored in ")
        entries = json.loads((node.inside.root / SAVED.lstrip("/")).read_text())["params"]["entries"]
        verified = node.call("verify", entries=entries)
        assert (verified["error"], verified["data"]["verified"]) == (None, [0])
        (node.inside.root / SEEN).unlink()
    assert [change["task"] for change in node.call("history")["data"]["changes"]] == ["boot"] * 3


def test_a_power_cut_in_the_middle_is_mended_by_the_next_boot(machine: Callable[..., Machine]) -> None:
    node = with_user_of_gpus(machine("1xH100"))
    node.sim.fault(call="nvmlGpuInstanceCreateComputeInstance", kill=True, skip=1, late=True)
    assert node.inside.boot() == "degraded"
    assert node.inside.show(UNIT, "Result") == ["signal"]
    assert node.call("info")["data"]["interrupted"]["task"] == "boot"
    node.inside.cut_power()
    node.sim.clear_faults()
    node.sim.reboot()

    assert node.inside.boot() == "running"
    assert seen(node) == HALVES
    assert node.call("info")["data"] == {}


@pytest.mark.parametrize("condition", ["missing", "not-loaded", "mismatch"])
def test_without_a_driver_the_machine_comes_up_and_says_so(machine: Callable[..., Machine], condition: str) -> None:
    node = with_user_of_gpus(machine("1xA100-80GB", driver=condition))
    node.save(boot={"driver_wait_s": 1, "limit_s": 300})
    assert node.inside.boot() == "degraded"
    assert "next: " in came_up_without(node)


@pytest.mark.parametrize("call", ["nvmlDeviceGetCount_v2", "nvmlDeviceCreateGpuInstanceWithPlacement"])
def test_a_driver_that_hangs_does_not_hang_the_boot(machine: Callable[..., Machine], call: str) -> None:
    node = with_user_of_gpus(machine("1xH100"))
    node.sim.fault(call=call, hang_s=3600, times=1)
    node.save(step_limit_s=2)
    assert node.inside.boot() == "degraded"
    assert "hangs" in came_up_without(node)

    assert node.reboot() == "running"  # the fault was for one call
    assert seen(node) == HALVES


def test_systemd_has_limits_of_its_own(machine: Callable[..., Machine]) -> None:
    """A program that cannot even be ended by its own watchdog: systemd ends it, and goes on."""
    node = with_user_of_gpus(machine("1xH100"))
    node.drop_in(UNIT, "[Service]", "ExecStart=", "ExecStart=/bin/sleep infinity", "TimeoutStartSec=1")
    assert node.inside.boot() == "degraded"
    assert node.inside.show(UNIT, "Result", "NRestarts") == ["timeout", "0"]
    assert node.inside.show(SEES, "ActiveState") == ["active"]


def test_the_limits_that_are_installed(machine: Callable[..., Machine]) -> None:
    node = machine("1xH100")
    node.inside.boot()
    properties = ("TimeoutStartUSec", "TimeoutStopUSec", "Restart", "Type", "RemainAfterExit")
    assert node.inside.show(UNIT, *properties) == ["5min 30s", "10s", "no", "oneshot", "yes"]
    requires, binds, required_by = node.inside.show(UNIT, "Requires", "BindsTo", "RequiredBy")
    assert (set(requires.split()), binds, required_by) == ({"system.slice", "sysinit.target"}, "", "")
    before = node.inside.show(UNIT, "Before")[0].split()
    assert {"nvidia-dcgm.service", "kubelet.service", "containerd.service", "slurmd.service"} <= set(before)
    assert {"nvidia-persistenced.service"} <= set(node.inside.show(UNIT, "After")[0].split())


def test_a_service_that_an_interrupted_change_left_stopped_does_not_block_the_boot(
    machine: Callable[..., Machine],
) -> None:
    """It is ordered after the restore, so whoever waits in the restore for its start waits forever."""
    node = with_user_of_gpus(machine("1xA100-80GB"))
    agent = "nvidia-dcgm.service"
    node.service(agent, "ExecStart=/bin/sleep infinity")
    change = {"id": "1-1", "when": "", "who": "", "task": "layout", "before": [], "planned": [], "services": [agent]}
    node.inside.write("/root/.local/state/migprov/journal.jsonl", json.dumps(change) + "\n")

    assert node.inside.boot() == "running"
    assert node.inside.show(agent, "ActiveState") == ["active"]
    assert seen(node) == HALVES


def test_an_agent_that_holds_a_gpu_is_stopped_for_a_mode_change_and_started_again(
    machine: Callable[..., Machine],
) -> None:
    node = with_user_of_gpus(machine("1xA100-80GB"))
    agent = "nvidia-persistenced.service"
    opens = "import time; f = open('/opt/simulated/dev/nvidia0'); open('/run/opened', 'w'); time.sleep(10**6)"
    up = "until [ -e /run/opened ]; do sleep 0.05; done"
    node.service(agent, f'ExecStart=/usr/bin/python3 -c "{opens}"', f'ExecStartPost=/bin/sh -c "{up}"')
    assert node.inside.boot() == "running"
    assert seen(node) == HALVES
    assert node.inside.show(agent, "ActiveState") == ["active"]
    changes = node.call("history")["data"]["changes"]
    stopped = [step["unit"] for step in changes[0]["planned"] if step["action"] == "stop_service"]
    assert stopped == [agent]


def test_a_gpu_that_is_gone_is_named_and_the_boot_goes_on(machine: Callable[..., Machine]) -> None:
    node = with_user_of_gpus(machine("1xH100"))
    body = json.loads((node.inside.root / SAVED.lstrip("/")).read_text())
    gone = {**body["params"]["entries"][0], "devices": ["GPU-11111111-2222-3333-4444-555555555555"]}
    node.save(
        params={"entries": [gone, *body["params"]["entries"]], "drain": "refuse"},
        boot={"driver_wait_s": 1, "limit_s": 300},
    )
    assert node.inside.boot() == "degraded"
    line = one_line(node, priority="3")
    assert "GPU-11111111-2222-3333-4444-555555555555 is no GPU of this node now" in line
    assert "GPU 0: layout restored" in line
    assert seen(node) == HALVES
