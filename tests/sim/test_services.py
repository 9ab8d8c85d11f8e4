"""Services of a simulated node, as its `systemctl` and its processes show them."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from migprov.node import processes
from migprov.sim.commands import sim as command
from migprov.sim.driver import SimNode
from migprov.sim.errors import HoldRefused, SimError


def systemctl(node: SimNode, *words: str) -> tuple[int, str, str]:
    """Exit status, output, complaint."""
    done = subprocess.run(
        ["systemctl", *words], env={"PATH": node.env()["PATH"]}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def until(happened: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_a_service_is_a_real_process_in_its_unit(
    make_node: Callable[..., SimNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_node("2xA100-80GB")
    service = node.service("nvidia-dcgm", gpus=[0, 1], command="nv-hostengine -n")
    assert service.active and node.holders() == [service.pid]
    monkeypatch.setenv("MIGPROV_CGROUP", node.env()["MIGPROV_CGROUP"])
    who = processes.identity(service.pid)
    assert who is not None
    assert (who.unit, who.command, who.arguments) == ("nvidia-dcgm.service", "nv-hostengine", "nv-hostengine -n")
    dev = node.env()["MIGPROV_DEV"] + "/"
    assert processes.open_files(dev)[service.pid] == ["nvidia0", "nvidia1", "nvidiactl"]
    service.stop()
    assert not service.active and node.holders() == [] and service.pid == 0
    assert os.listdir(node.env()["MIGPROV_CGROUP"]) == []


def test_what_systemctl_answers(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    service = node.service("nvidia-dcgm")
    pid = service.pid
    assert systemctl(node, "is-active", "nvidia-dcgm") == (0, "active", "")
    assert systemctl(node, "is-active", "--quiet", "nvidia-dcgm.service") == (0, "", "")
    assert systemctl(node, "show", "-p", "MainPID", "--value", "nvidia-dcgm") == (0, str(pid), "")
    assert "LoadState=not-found" in systemctl(node, "show", "nothing")[1]
    assert f"Main PID: {pid}" in systemctl(node, "status", "nvidia-dcgm")[1]
    assert systemctl(node, "start", "--", "nvidia-dcgm.service") == (0, "", "") and service.pid == pid
    assert "nvidia-dcgm.service" in systemctl(node, "list-units", "--no-pager")[1]
    assert systemctl(node, "restart", "nvidia-dcgm")[0] == 0 and service.pid not in (0, pid)
    assert systemctl(node, "stop", "nvidia-dcgm") == (0, "", "")
    assert systemctl(node, "stop", "nvidia-dcgm") == (0, "", "")
    assert systemctl(node, "is-active", "nvidia-dcgm") == (3, "inactive", "")
    assert systemctl(node, "status", "nvidia-dcgm")[0] == 3
    assert "nvidia-dcgm.service" not in systemctl(node, "list-units")[1]
    assert "nvidia-dcgm.service" in systemctl(node, "list-units", "--all")[1]
    assert systemctl(node, "start", "nothing") == (
        5,
        "",
        "Failed to start nothing.service: Unit nothing.service not found.",
    )
    assert systemctl(node, "stop", "nothing") == (
        5,
        "",
        "Failed to stop nothing.service: Unit nothing.service not loaded.",
    )
    assert systemctl(node, "status", "nothing")[0] == 4
    assert systemctl(node, "stop", "../../etc/x")[0] == 5
    assert systemctl(node, "enable", "x")[0] == systemctl(node)[0] == systemctl(node, "--force", "stop", "x")[0] == 1


def test_a_service_that_restarts_comes_back_until_it_is_stopped(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    service = node.service("asr", restart=True)
    for _ in range(3):
        before = service.pid
        os.kill(before, signal.SIGKILL)
        until(lambda before=before: service.pid not in (0, before) and service.pid in node.holders())
    service.stop()
    assert node.holders() == [] and node.supervisors() == []


def test_a_service_without_restart_stays_down(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    service = node.service("asr")
    os.kill(service.pid, signal.SIGKILL)
    until(lambda: not service.active)
    assert systemctl(node, "show", "-p", "ActiveState", "asr")[1] == "ActiveState=failed"
    service.start()
    assert service.active


def test_stopping_kills_what_ignores_sigterm(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    service = node.service("stubborn", ignores_term=True)
    os.kill(service.pid, signal.SIGTERM)
    service.stop()
    assert node.holders() == []


def test_services_that_fail(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    service = node.service("nvidia-dcgm")
    service.fail("stop")
    with pytest.raises(SimError, match="Failed to stop"):
        service.stop()
    assert service.active
    service.fail(None)
    service.stop()
    service.fail("start")
    with pytest.raises(SimError, match="control process exited"):
        service.start()
    assert not service.active
    service.fail(None)
    node.fault(0, lost=True)
    with pytest.raises(SimError, match=r"nvidia-dcgm\.service does not start: the GPU is lost"):
        service.start()
    service.fail("start")
    with pytest.raises(SimError, match="control process exited"):  # not for the reason of before
        service.start()
    with pytest.raises(SimError, match="fails"):
        service.fail("reload")


def test_a_service_that_never_started_is_not_declared(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    with pytest.raises(SimError, match="there is no such MIG device"):
        node.service("asr", mig_uuid="MIG-none", kind="compute")
    assert node.services() == []
    node.service("asr")
    with pytest.raises(SimError, match="has a service asr already"):
        CliRunner().invoke(command, ["service", "-n", str(node.directory), "asr"], catch_exceptions=False)


def test_a_start_for_which_nobody_waits(make_node: Callable[..., SimNode]) -> None:
    """As migprov starts services at boot; whoever asked for it has ended before it is under way."""
    node = make_node()
    service = node.service("nvidia-dcgm", restart=True, start=False)
    assert systemctl(node, "start", "--no-block", "nvidia-dcgm") == (0, "", "")
    until(node.holders)
    first = node.holders()
    os.kill(first[0], signal.SIGKILL)
    until(lambda: node.holders() not in ([], first))  # somebody looks after it
    assert service.active
    service.stop()
    assert node.holders() == []


@pytest.mark.parametrize("words", [["-p"], ["show", "--property"], ["list-units", "-t"]])
def test_an_option_without_its_value(make_node: Callable[..., SimNode], words: list[str]) -> None:
    code, _, complaint = systemctl(make_node(), *words)
    assert (code, complaint) == (1, f"systemctl: option '{words[-1]}' requires an argument")


def test_the_types_of_units(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    node.service("asr")
    assert "asr.service" in systemctl(node, "list-units", "--type=service,socket", "--no-legend")[1]
    assert systemctl(node, "list-units", "--type=socket", "--no-legend") == (0, "", "")


def test_a_reboot_starts_what_is_enabled(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    enabled, other = node.service("nvidia-dcgm", enabled=True, restart=True), node.service("asr", restart=True)
    before = enabled.pid
    node.reboot()
    assert enabled.active and enabled.pid != before
    assert not other.active
    node.power_off()
    assert node.holders() == node.supervisors() == [] and not enabled.active


def test_a_service_without_a_gpu_has_only_the_driver_open(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    service = node.service("gfd", gpus=[])
    assert processes.open_files(node.env()["MIGPROV_DEV"] + "/")[service.pid] == ["nvidiactl"]


def test_bad_services(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    for name in ("../x", ".hidden", "a\nb"):
        with pytest.raises(SimError, match="name of a service"):
            node.service(name)
    with pytest.raises(SimError, match="no GPU 3"):
        node.service("x", gpus=[3])
    with pytest.raises(SimError, match="cannot be"):
        node.service("x", kind="idle")
    assert node.services() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes nodes of another user")
def test_only_root_of_the_node_stops_its_services(make_node: Callable[..., SimNode]) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    node = make_node("1xA100-80GB", owner=nobody)
    service = node.service("nvidia-dcgm")
    assert Path(f"/proc/{service.pid}").stat().st_uid == nobody
    for uid, status in ((nobody + 1, 4), (nobody, 0)):
        done = subprocess.run(
            [node.directory / "bin" / "systemctl", "stop", "nvidia-dcgm"],
            user=uid,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.returncode == status, done
        assert ("authentication required" in done.stderr) == (status == 4)
    assert not service.active


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_holder_of_another_user(make_node: Callable[..., SimNode]) -> None:
    node = make_node()
    pid = node.hold(0, 100, user=54321)
    assert Path(f"/proc/{pid}").stat().st_uid == 54321
    assert "Uid:\t54321\t54321\t54321\t54321" in Path(f"/proc/{pid}/status").read_text()


def test_the_command_line(make_node: Callable[..., SimNode]) -> None:
    node = make_node("2xA100-80GB")
    where = ["-n", str(node.directory)]

    def run(*words: str) -> str:
        done = CliRunner().invoke(command, ["service", *where, *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output.strip()

    pid = int(run("nvidia-dcgm", "--gpu", "0", "--gpu", "1", "--restart"))
    assert node.holders() == [pid]
    assert run() == f"nvidia-dcgm.service: active, process {pid}"
    assert json.loads(run("--json")) == [{"unit": "nvidia-dcgm.service", "active": True, "pid": pid}]
    run("nvidia-dcgm", "--fails", "stop")
    assert systemctl(node, "stop", "nvidia-dcgm")[0] == 1
    run("nvidia-dcgm", "--fails", "nothing")
    assert systemctl(node, "stop", "nvidia-dcgm")[0] == 0
    assert run() == "nvidia-dcgm.service: not active"


def test_jobs_on_several_gpus_and_on_wrong_ones(make_node: Callable[..., SimNode]) -> None:
    node = make_node("3xA100-80GB")
    pid = node.hold([0, 2], 100)
    assert [[p["pid"] for p in gpu["processes"]] for gpu in node.show()["gpus"]] == [[pid], [], [pid]]
    assert node.holders() == [pid]
    with pytest.raises(SimError, match="no GPU 7"):
        node.hold([0, 7], 100)
    node.fault(1, lost=True)
    with pytest.raises(HoldRefused, match="lost"):
        node.hold([0, 1], 100)
    until(lambda: node.holders() == [pid])
    node.release(pid)
    assert node.holders() == []
