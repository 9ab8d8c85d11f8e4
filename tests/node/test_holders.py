"""Who is on a GPU: NVML's lists and the open device files, with all that names a process."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov.node.holders import opened
from migprov.sim.driver import SimNode

from .background import until
from .conftest import Machine, entry

CONTAINER = "3f4e" * 16
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes processes of others")


def holders(machine: Machine, gpu: int = 0) -> dict[int, dict[str, Any]]:
    """The processes of a GPU in `info`, by pid."""
    listed = machine.ok("info")["after"]["gpus"][gpu]["processes"]
    assert len({process["pid"] for process in listed}) == len(listed)
    return {process["pid"]: process for process in listed}


def cut(machine: Machine, *instances: str, gpu: int = 0) -> dict[str, tuple[int, str]]:
    """GPU instance id and MIG device UUID by profile."""
    reply = machine.layout(*instances, gpus=[gpu])
    assert reply["error"] is None, reply["error"]
    rows = reply["after"]["gpus"][gpu]["instances"]
    return {gi["profile"]: (gi["gi_id"], gi["compute_instances"][0]["uuid"]) for gi in rows}


def test_what_is_told_of_a_process(machine):
    node = machine("2xA100-80GB")
    began = time.time()
    pid = int(node.sim.hold(1, 9830, command="python3 -m asr.server --port 80"))
    assert holders(node, 0) == {}
    found = holders(node, 1)[pid]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert abs(found.pop("started") - began) < 60
    assert found == {
        "pid": pid,
        "command": "python3",
        "arguments": "python3 -m asr.server --port 80",
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "memory_mib": 9830,
        "gi_id": None,
        "ci_id": None,
        "kind": "compute",
        "start_ticks": int(fields[19]),
        "unit": None,
        "container": None,
    }


@pytest.mark.parametrize(
    ("kind", "told", "memory"), [("compute",) * 2 + (64,), ("graphics",) * 2 + (64,), ("mps",) * 2 + (64,)]
)
def test_the_kinds_that_nvml_lists(machine, kind, told, memory):
    node = machine()
    pid = node.sim.hold(0, 64, kind=kind)
    assert [(p["pid"], p["kind"], p["memory_mib"]) for p in holders(node).values()] == [(pid, told, memory)]


def test_a_process_with_nothing_but_the_device_open(machine):
    node = machine("2xA100-80GB")
    pid = node.sim.hold(1, 0, kind="monitor", command="nv-hostengine -n")
    assert holders(node, 0) == {}
    found = holders(node, 1)[pid]
    assert (found["kind"], found["command"], found["memory_mib"], found["gi_id"]) == (
        "open",
        "nv-hostengine",
        None,
        None,
    )


def test_a_process_on_several_gpus_is_on_each_of_them(machine):
    node = machine("3xA100-80GB")
    pid = node.sim.hold([0, 2], 100)
    assert [list(holders(node, gpu)) for gpu in range(3)] == [[pid], [], [pid]]


def test_an_agent_that_has_only_the_driver_open_is_on_no_gpu(machine):
    node = machine("1xA100-80GB")
    pid = node.sim.hold([], 0, kind="monitor")
    assert holders(node) == {}
    reply = node.layout("7g.80gb")  # a mode change on Ampere: nobody may have the GPU open
    assert reply["error"] is None and pid.alive


def test_the_instance_that_a_process_is_in(machine):
    node = machine("2xA100-80GB")
    made = cut(node, "3g.40gb", "2g.20gb", gpu=1)
    gi_id, uuid = made["2g.20gb"]
    pid = node.sim.hold(uuid, 500)
    found = holders(node, 1)[pid]
    assert (found["gi_id"], found["ci_id"], found["memory_mib"]) == (gi_id, 0, 500)


@pytest.mark.parametrize("gpu", [0, 1])
def test_the_instance_of_a_process_that_nvml_does_not_list(machine, gpu):
    """From the minors of its capability files: gpuN/giI is 3 + 135 N + 9 I, its ciC one more and C."""
    node = machine("2xA100-80GB")
    gi_id, uuid = cut(node, "3g.40gb", gpu=gpu)["3g.40gb"]
    listed = node.sim.hold(uuid, 500)
    caps = {os.readlink(link).rpartition("nvidia-cap")[2] for link in Path(f"/proc/{listed}/fd").iterdir()}
    assert {str(3 + 135 * gpu + 9 * gi_id), str(4 + 135 * gpu + 9 * gi_id)} <= caps
    node.sim.release(listed)
    folder = Path(node.env()["MIGPROV_DEV"]) / "nvidia-caps"
    code = "import sys\nkept = [open(name) for name in sys.argv[1:]]\nprint(flush=True)\nsys.stdin.read()"
    files = [str(folder / f"nvidia-cap{minor}") for minor in (3 + 135 * gpu + 9 * gi_id, 4 + 135 * gpu + 9 * gi_id)]
    with subprocess.Popen([sys.executable, "-c", code, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = holders(node, gpu)[child.pid]
        assert (found["kind"], found["gi_id"], found["ci_id"]) == ("open", gi_id, 0)
        assert child.pid not in holders(node, 1 - gpu)
        child.communicate()


@pytest.mark.parametrize(
    ("files", "gpus", "instances"),
    [
        (["nvidiactl", "nvidia-uvm", "nvidia-modeset"], set(), set()),
        (["nvidia0", "nvidia11"], {0, 11}, set()),
        (["nvidia-caps/nvidia-cap1", "nvidia-caps/nvidia-cap2"], set(), set()),
        (["nvidia-caps/nvidia-cap21", "nvidia-caps/nvidia-cap22"], set(), {(0, 2, None), (0, 2, 0)}),  # recorded
        (["nvidia-caps/nvidia-cap1218"], set(), {(9, 0, None)}),
        (["nvidia-caps/nvidia-cap137"], set(), {(0, 14, 7)}),
        (["nvidia-caps/nvidia-cap138"], set(), {(1, 0, None)}),
        (["nvidia-caps-imex-channels/channel0", "nvidia0 (deleted)", "nvidia-nvswitch0"], set(), set()),
    ],
)
def test_what_device_files_mean(files, gpus, instances):
    assert opened(files) == (gpus, instances)


def test_the_run_itself_is_no_holder_and_what_started_it_is(machine):
    """The program opens the devices through the driver's library; a notebook that starts it may hold a GPU."""
    node = machine()
    code = """
import subprocess, sys
kept = open(sys.argv[1])
sys.exit(subprocess.run([sys.executable, "-S", "-E", sys.argv[2]]).returncode)
"""
    device = str(Path(node.env()["MIGPROV_DEV"]) / "nvidia0")
    request = {"protocol": 1, "task": "info", "params": {}}
    with subprocess.Popen(
        [sys.executable, "-c", code, device, str(node.pyz)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=node.env(),
    ) as starter:
        out, _ = starter.communicate(json.dumps(request).encode())
    (gpu,) = json.loads(out)["after"]["gpus"]
    assert [(process["pid"], process["kind"]) for process in gpu["processes"]] == [(starter.pid, "open")]


def test_a_process_in_several_instances_is_in_each_of_them(machine):
    node = machine()
    made = cut(node, "3g.40gb", "2g.20gb", "1g.10gb")
    minors = [3 + 9 * made["3g.40gb"][0], 3 + 9 * made["2g.20gb"][0], 4 + 9 * made["2g.20gb"][0]]
    files = [str(Path(node.env()["MIGPROV_DEV"]) / "nvidia-caps" / f"nvidia-cap{minor}") for minor in minors]
    for name in files:
        Path(name).touch()
    code = "import sys\nkept = [open(name) for name in sys.argv[1:]]\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        rows = node.ok("info")["after"]["gpus"][0]["processes"]
        error = node.refused("layout", "gpu_busy", entries=[entry("4g.40gb", "2g.20gb")])
        child.communicate()
    places = {(row["pid"], row["gi_id"], row["ci_id"]) for row in rows}
    assert places == {(child.pid, made["3g.40gb"][0], None), (child.pid, made["2g.20gb"][0], 0)}
    assert {holder["pid"] for holder in error["holders"]} == {child.pid}


def test_a_device_file_that_was_made_anew_is_the_same_device(machine):
    node = machine()
    device = Path(node.env()["MIGPROV_DEV"]) / "nvidia0"
    with device.open() as kept, subprocess.Popen(["sleep", "600"], stdin=kept) as child:
        device.unlink()
        device.touch()
        assert child.pid in holders(node)
        child.kill()


# -- where a process belongs -------------------------------------------------------------------------------------------


def test_the_unit_of_a_service(machine):
    node = machine()
    service = node.sim.service("nvidia-dcgm", gpus=[0])
    found = holders(node)[service.pid]
    assert (found["unit"], found["container"], found["kind"]) == ("nvidia-dcgm.service", None, "open")
    assert (
        f"process {service.pid} (nvidia-dcgm, user"
        in (node.refused("layout", "gpu_busy", entries=[entry("7g.80gb")], drain={"agents": []})["message"])
    )


@pytest.mark.parametrize(
    "text",
    [
        f"0::/system.slice/docker-{CONTAINER}.scope",
        f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{CONTAINER}.scope",
        f"12:devices:/docker/{CONTAINER}\n1:name=systemd:/docker/{CONTAINER}",
    ],
)
def test_the_container_of_a_process(machine, text):
    node = machine()
    pid = node.sim.hold(0, 100, cgroup=text)
    found = holders(node)[pid]
    assert (found["unit"], found["container"]) == (None, CONTAINER)
    message = node.refused("layout", "gpu_busy", entries=[entry("7g.80gb")])["message"]
    assert f"container {CONTAINER[:12]}" in message


@contextlib.contextmanager
def real_cgroup(name: str) -> Iterator[Path]:
    """A cgroup of this machine, in whichever hierarchy lets us make one."""
    for base in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"):
        folder = Path(base) / f"migprov-test-{os.getpid()}.slice"
        try:
            (folder / name).mkdir(parents=True)
        except OSError:
            continue
        if not (folder / name / "cgroup.procs").exists():
            (folder / name).rmdir()
            folder.rmdir()
            continue
        try:
            yield folder / name
        finally:
            inside = folder / name / "cgroup.procs"
            until(lambda inside=inside: not inside.read_text(), "an empty cgroup")
            (folder / name).rmdir()
            folder.rmdir()
        return
    pytest.skip("this machine lets us make no cgroup")


@needs_root
@pytest.mark.parametrize(
    ("name", "unit", "container"),
    [("asr.service", "asr.service", None), (f"docker-{CONTAINER}.scope", None, CONTAINER)],
)
def test_a_real_cgroup_of_the_kernel(machine, monkeypatch, name, unit, container):
    node = machine()
    with real_cgroup(name) as folder:
        pid = node.sim.hold(0, 100)
        try:
            (folder / "cgroup.procs").write_text(str(int(pid)))
            env = {key: value for key, value in node.env().items() if key != "MIGPROV_CGROUP"}
            monkeypatch.setattr(node, "env", lambda: env)
            found = holders(node)[pid]
            assert found["container"] == container
            if container is None:
                assert found["unit"] == unit
        finally:
            node.sim.release(pid)


@needs_root
def test_a_process_of_another_user(machine):
    node = machine()
    pid = node.sim.hold(0, 100, user=pwd.getpwnam("nobody").pw_uid)
    assert holders(node)[pid]["user"] == "nobody"
    stranger = node.sim.hold(0, 100, user=54321)
    assert holders(node)[stranger]["user"] == "54321"


# -- who is in the way of what -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gpu", "in_way"), [("A30-24GB", True), ("A100-80GB", True), ("H100-80GB-SXM", False)])
def test_who_merely_has_the_device_open_is_in_the_way_of_a_reset_only(machine, gpu, in_way):
    node = machine(f"1x{gpu}")
    pid = node.sim.hold(0, 0, kind="monitor", command="watcher")
    reply = node.call("mig_mode", enabled=True)
    if in_way:
        assert reply["error"]["code"] == "gpu_busy"
        assert [holder["pid"] for holder in reply["error"]["holders"]] == [pid]
        assert node.sim.write_count() == 0
    else:
        assert reply["error"] is None
    assert pid.alive


def test_a_monitor_on_a_gpu_whose_instances_change_is_left_alone(machine):
    node = machine()
    cut(node, "7g.80gb")
    pid = node.sim.hold(0, 0, kind="monitor")
    reply = node.call("layout", entries=[entry("3g.40gb", "3g.40gb")], drain="terminate")
    assert reply["error"] is None
    assert pid.alive
    assert "end_process" not in [step["action"] for step in reply["steps"]]


def test_a_kernel_module_that_holds_the_card_is_named(machine):
    node = machine()
    (Path(node.env()["MIGPROV_SYS"]) / "module" / "nvidia" / "holders" / "nvidia_drm").mkdir(parents=True)
    node.sim.fault(0, call="nvmlDeviceSetMigMode", error="IN_USE")
    error = node.layout("7g.80gb")["error"]
    assert error["code"] == "gpu_busy"
    assert "no process holds it: a kernel module may (nvidia_drm)" in error["message"]
    assert "modprobe -r" in error["next"]


def test_everybody_is_named_as_told_by_a_run_that_may_not_look(machine):
    """As an ordinary user /proc hides the open files of others: NVML's lists remain."""
    node = machine()
    pid = node.sim.hold(0, 64)
    node.sim.hold(0, 0, kind="monitor")
    node.hidden = True
    assert list(holders(node)) == [pid]


def test_signals_and_ends_of_holders_are_seen_at_once(machine):
    node = machine()
    pid = node.sim.hold(0, 64)
    assert list(holders(node)) == [pid]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not pid.alive, "its end")
    assert holders(node) == {}
    assert isinstance(node.sim, SimNode)
