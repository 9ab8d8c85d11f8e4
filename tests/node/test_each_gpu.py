"""How each GPU of a node fared is told of every one, also when the run ends in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from migprov.sim import state

from .background import running, until
from .conftest import Machine, entry, profiles
from .test_journal import die

MODE = "nvmlDeviceSetMigMode"


def fates(reply: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Result and error code of each GPU."""
    return {
        index: (one["result"], one["error"] and one["error"]["code"]) for index, one in reply["data"]["gpus"].items()
    }


def test_what_stop_on_error_kept_from_its_turn_is_told_as_untouched(machine):
    node = machine("3xH100-80GB-SXM")
    node.sim.fault(1, call=MODE, error="UNKNOWN")
    reply = node.call("mig_mode", enabled=True, stop_on_error=True)
    assert fates(reply) == {"0": ("done", None), "1": ("refused", "nvml"), "2": ("refused", "stopped")}
    assert "stop_on_error" in reply["data"]["gpus"]["2"]["error"]["message"]
    assert reply["error"]["code"] == "nvml"
    work = node.sim.hold(1, 100)
    refused = node.call("layout", entries=[entry("7g.80gb")], stop_on_error=True)
    assert fates(refused) == {"0": ("refused", "stopped"), "1": ("refused", "gpu_busy"), "2": ("refused", "stopped")}
    assert refused["steps"] == [] and work.alive


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("busy", [2, 3])
def test_every_gpu_that_refuses_is_told_with_who_is_on_it(machine, check, busy):
    node = machine("3xA100-80GB")
    pids = [int(node.sim.hold(gpu, 100)) for gpu in range(busy)]
    reply = node.call("layout", check, entries=[entry("7g.80gb")])
    refused = {str(gpu): ("refused", "gpu_busy") for gpu in range(busy)}
    assert fates(reply) == (refused if check or busy == 3 else {**refused, "2": ("done", None)})
    for gpu, pid in enumerate(pids):
        assert f"process {pid} (" in reply["data"]["gpus"][str(gpu)]["error"]["message"]
    assert f"(and {busy - 1} more failed)" in reply["error"]["message"]


def test_a_hang_does_not_hide_what_was_known_before(machine):
    node = machine("3xA100-80GB")
    pid = int(node.sim.hold(0, 100))
    node.sim.fault(2, call=MODE, hang_s=600)
    request = {"protocol": 1, "task": "mig_mode", "params": {"enabled": True}, "step_limit_s": 1}
    reply = node.raw(request)
    assert fates(reply) == {"0": ("refused", "gpu_busy"), "1": ("done", None), "2": ("refused", "driver_hangs")}
    assert (reply["error"]["code"], reply["error"]["gpu"]) == ("driver_hangs", 2)
    assert f"process {pid} (" in reply["data"]["gpus"]["0"]["error"]["message"]


def test_a_driver_that_hangs_while_the_holders_are_looked_up_is_left(machine):
    node = machine()
    node.sim.fault(0, call=MODE, error="IN_USE")
    node.sim.fault(0, call="nvmlDeviceGetComputeRunningProcesses", hang_s=600, skip=1)
    began = time.monotonic()
    request = {"protocol": 1, "task": "mig_mode", "params": {"enabled": True}, "step_limit_s": 1}
    assert node.raw(request)["error"]["code"] == "driver_hangs"
    assert time.monotonic() - began < 120


def test_where_a_service_does_not_stop_no_gpu_it_holds_is_begun(machine):
    """A mode that is asked for while the card is open stays pending, and comes with the next reboot."""
    node = machine("3xA100-80GB")
    node.sim.service("nvidia-dcgm", gpus=[0, 2])
    systemctl = node.sim.directory / "bin" / "systemctl"
    systemctl.unlink()
    systemctl.write_text("#!/bin/sh\n[ $1 != stop ]\n")
    systemctl.chmod(0o755)
    reply = node.call("mig_mode", enabled=True)
    assert fates(reply) == {"0": ("refused", "service_failed"), "1": ("done", None), "2": ("refused", "service_failed")}
    assert {write["gpu"] for write in node.sim.writes()} == {1}


def test_what_is_taken_back_on_one_card_stays_done_on_another(machine):
    node = machine("2xH100-80GB-SXM")
    node.layout("7g.80gb")
    node.sim.fault(1, call="nvmlDeviceCreateGpuInstanceWithPlacement", error="UNKNOWN", times=1)
    reply = node.layout("3g.40gb", "3g.40gb")
    assert fates(reply) == {"0": ("done", None), "1": ("failed", "nvml")}
    assert [profiles(reply, index) for index in (0, 1)] == [[("3g.40gb", 0), ("3g.40gb", 4)], [("7g.80gb", 0)]]
    assert {step["gpu"] for step in reply["error"]["undone"]} == {1}


def test_a_service_that_was_not_stopped_is_not_started(machine):
    node = machine("2xA100-80GB")
    node.sim.service("nvidia-dcgm", gpus=[1])
    node.sim.fault(0, call=MODE, error="UNKNOWN")
    reply = node.call("mig_mode", enabled=True, stop_on_error=True)
    assert (reply["steps"], reply["changed"]) == ([], False)


def test_a_card_that_somebody_else_changes_meanwhile_is_not_called_done(machine):
    node = machine("2xH100-80GB-SXM")
    work = node.sim.hold(1, 100)
    drain = {"policy": "wait", "timeout_s": 600}
    with running(node, "layout", entries=[entry("7g.80gb")], drain=drain) as run:
        until(lambda: node.sim.write_count() == 3, "the first card's layout")
        with state.changing(node.sim.directory / "state") as raw:
            for instance in raw.gpus[0].gi:
                instance.used = 0
        node.sim.release(work)
        reply = run.reply()
    assert fates(reply) == {"0": ("failed", "effect_missing"), "1": ("done", None)}


def test_a_lost_gpu_does_not_keep_those_that_a_filter_selects(machine):
    node = machine("3xA100-80GB")
    node.sim.fault(1, lost=True)
    entries = [
        {**entry("7g.80gb"), "device_filter": ["0x20B210DE"]},
        {**entry("1g.5gb"), "device_filter": ["0x20B010DE"]},
    ]
    reply = node.call("layout", entries=entries)
    assert fates(reply) == {"0": ("done", None), "1": ("refused", "gpu_lost"), "2": ("done", None)}
    (difference,) = node.call("verify", entries=entries)["error"]["differences"]
    assert difference.startswith("GPU 1 (no UUID): it is lost")


def test_a_reset_says_of_a_lost_gpu_that_it_is_lost(machine):
    node = machine("2xA100-80GB")
    node.sim.fault(1, lost=True)
    node.refused("reset", "gpu_lost", gpus=[1])
    assert node.ok("reset", gpus=[0])["steps"] == []


def test_a_gpu_that_goes_away_during_the_run_does_not_hide_what_was_done(machine):
    node = machine("2xH100-80GB-SXM")
    work = node.sim.hold(1, 100)
    with running(node, "mig_mode", enabled=True, drain={"policy": "wait", "timeout_s": 600}) as run:
        until(lambda: node.sim.write_count() == 1, "the first mode")
        with state.changing(node.sim.directory / "state") as raw:
            raw.gpu_count = 1
        node.sim.release(work)
        reply = run.reply()
    assert {"action": "set_mig_mode", "gpu": 0}.items() <= reply["steps"][0].items()
    assert fates(reply)["0"] == ("done", None) and fates(reply)["1"][0] == "refused"  # nothing was done to it
    assert node.ok("history")["data"]["changes"][-1]["result"] == "failed"


@pytest.mark.parametrize(
    ("call", "error"), [("nvmlDeviceGetGpuInstanceById", "NOT_FOUND"), ("nvmlGpuInstanceGetInfo", "INVALID_ARGUMENT")]
)
def test_an_instance_that_goes_while_it_is_read_is_no_trouble_of_the_gpu(machine, call, error):
    node: Machine = machine()
    node.layout("7g.80gb")
    node.sim.fault(0, call=call, error=error, times=2)
    (gpu,) = node.ok("info")["after"]["gpus"]
    assert gpu["error"] is None and len(gpu["instances"]) == 1
    node.sim.fault(0, call=call, error=error)
    assert node.ok("info")["after"]["gpus"][0]["error"]["code"] == "nvml"


@pytest.mark.parametrize("times", [1, None])
def test_what_cannot_be_taken_back_keeps_nothing_else_from_coming_back(machine, times):
    node = machine()
    before = node.layout(
        *({"profile": name, "start": at} for name, at in (("2g.20gb", 0), ("2g.20gb", 4), ("1g.10gb", 6)))
    )
    node.sim.fault(0, call="nvmlDeviceCreateGpuInstanceWithPlacement", error="UNKNOWN", times=1, skip=1)
    node.sim.fault(0, call="nvmlGpuInstanceDestroy", error="IN_USE", times=times, skip=3)  # of the new instance
    reply = node.layout("3g.40gb", "3g.40gb")
    node.sim.clear_faults()
    message = reply["error"]["message"]
    if times:
        assert layouts(reply) == layouts(before) and "taken back" not in message
    else:
        whole, *rest = layouts(reply)
        assert whole == ("3g.40gb", 0, 0)
        assert rest == [row for row in layouts(before) if row[1] >= 4]
        assert "not all that was done could be taken back" in message and "in use by another client" in message


def test_a_gpu_on_which_something_was_only_waited_for_is_told_as_untouched(machine):
    node = machine()
    first, second = node.sim.hold(0, 100), node.sim.hold(0, 100)
    with running(node, "mig_mode", enabled=True, drain={"policy": "wait", "timeout_s": 2}) as run:
        run.until_journal()
        node.sim.release(first)
        reply = run.reply()
    assert second.alive and not reply["changed"]
    assert fates(reply) == {"0": ("refused", "gpu_busy")}


def test_a_change_of_a_card_that_is_gone_since_is_closed_by_what_is_there(machine):
    node = machine("2xH100-80GB-SXM")
    node.layout("7g.80gb")
    node.sim.fault(1, call="nvmlDeviceCreateGpuInstanceWithPlacement", kill=True)
    request = {"protocol": 1, "task": "layout", "params": {"entries": [entry("3g.40gb")]}}
    command = [sys.executable, "-S", "-E", str(node.pyz)]
    subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, env=node.env(), check=False)
    with state.changing(node.sim.directory / "state") as raw:
        raw.gpu_count = 1
    assert node.ok("info")["data"]["interrupted"]["result"] == "interrupted"
    assert node.ok("layout", entries=[entry("3g.40gb")])["changed"] is False
    assert "interrupted" not in node.ok("info")["data"]


def layouts(reply: dict[str, Any]) -> list[tuple[str, int, int]]:
    """(profile, start, number of compute instances) of the first GPU's instances."""
    rows = reply["after"]["gpus"][0]["instances"]
    return [(gi["profile"], gi["start"], len(gi["compute_instances"])) for gi in rows]


def test_services_left_stopped_come_back_also_where_stop_on_error_refuses(machine):
    node = machine("2xA100-80GB")
    dcgm = node.sim.service("nvidia-dcgm", gpus=[0])
    die(node, MODE, entries=[entry("7g.80gb", gpus=[0])])
    assert not dcgm.active
    node.sim.hold(1, 100)
    assert node.call("mig_mode", enabled=True, stop_on_error=True)["error"]["code"] == "gpu_busy"
    assert dcgm.active
