"""`--boot FILE` of the node program, on simulated drivers: one line, an exit status, and an end in every case."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov.connect.program import program
from migprov.sim.driver import SimNode

HALVES = [{"profile": "3g.40gb", "start": 0}, {"profile": "3g.40gb", "start": 4}]
LIMIT_S = 60  # for a subprocess that has to end by itself long before


class Machine:
    """A simulated node, and what systemd would run on it at boot."""

    def __init__(self, folder: Path, unpacked: Path, gpus: str, **options: Any) -> None:
        self.sim = SimNode.create(folder / "node", gpus, **options)
        self.home = folder / "home"
        self.home.mkdir()
        self.file = folder / "boot.json"
        self.pyz = unpacked

    def save(self, *entries: dict[str, Any], **changes: Any) -> None:
        """Write the file that is restored."""
        limits = {"driver_wait_s": 0, "limit_s": 60}
        body = {"protocol": 1, "task": "layout", "params": {"entries": list(entries)}, "boot": limits}
        self.file.write_text(json.dumps(body | changes))

    def env(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.sim.env({}), **more} | {
            "PATH": f"{self.sim.directory}/bin:{os.environ['PATH']}"
        }

    def boot(self, python: str = sys.executable, **env: str) -> subprocess.CompletedProcess[str]:
        """Run it as the unit does."""
        command = [python, "-I", "-S", str(self.pyz), "--boot", str(self.file)]
        return subprocess.run(
            command, env=self.env(**env), capture_output=True, text=True, timeout=LIMIT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def call(self, task: str, **params: Any) -> dict[str, Any]:
        """The reply to a request."""
        request = json.dumps({"protocol": 1, "task": task, "params": params})
        command = [sys.executable, "-I", "-S", str(self.pyz)]
        done = subprocess.run(command, input=request, env=self.env(), capture_output=True, text=True, check=True)
        reply: dict[str, Any] = json.loads(done.stdout)
        return reply

    def places(self, index: int = 0) -> list[tuple[str, int]]:
        """The GPU instances now, as (profile, start)."""
        gpu = self.call("info")["after"]["gpus"][index]
        return [(gi["profile"], gi["start"]) for gi in gpu["instances"]]

    def uuid(self, index: int = 0) -> str:
        return str(self.sim.show()["gpus"][index]["uuid"])


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as a folder: Python keeps what it compiled of one, so that most tests are quick."""
    folder = tmp_path_factory.mktemp("program")
    zipfile.ZipFile(io.BytesIO(program().data)).extractall(folder)
    return folder


@pytest.fixture
def machine(tmp_path: Path, unpacked: Path) -> Iterator[Callable[..., Machine]]:
    made: list[Machine] = []

    def make(gpus: str = "1xA100-80GB", **options: Any) -> Machine:
        made.append(Machine(tmp_path, unpacked, gpus, **options))
        return made[-1]

    yield make
    for one in made:
        for pid in one.sim.holders():
            one.sim.release(pid)


def entry(devices: object = "all", instances: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"devices": devices, "mig_enabled": True, "instances": HALVES if instances is None else instances}


def failed(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a restore that failed."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("migprov: ")
    assert "could not restore: " in lines[0]
    return lines[0]


@pytest.mark.parametrize("gpus", ["2xA100-80GB", "2xH100"])
def test_a_node_comes_back_from_a_reboot_with_its_layout(machine: Callable[..., Machine], gpus: str) -> None:
    node = machine(gpus)
    node.save(entry([node.uuid(1)]))
    assert node.boot().returncode == 0
    before = node.call("info")["after"]["gpus"]
    node.sim.reboot()
    assert node.places(1) == []

    done = node.boot()

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("migprov: GPU 1: layout restored in ")
    assert done.stdout.endswith(" s\n")
    after = node.call("info")["after"]["gpus"]
    assert [gpu["instances"] for gpu in after] == [gpu["instances"] for gpu in before]
    assert [gpu["mig_current"] for gpu in after] == [False, True]


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_the_file_that_is_installed_runs_under_every_python(
    machine: Callable[..., Machine], tmp_path: Path, version: str
) -> None:
    python = next(iter(Path(os.environ["PYENV_ROOT"]).glob(f"versions/{version}.*/bin/python")), None)
    if python is None:
        pytest.skip(f"no Python {version} below {os.environ['PYENV_ROOT']}")
    node = machine("1xH100")
    node.pyz = tmp_path / "node.pyz"
    node.pyz.write_bytes(program().data)
    node.save(entry())
    assert node.boot(python=str(python)).stdout.startswith("migprov: GPU 0: layout restored in ")


def test_nothing_is_written_where_nothing_is_to_be_done(machine: Callable[..., Machine]) -> None:
    node = machine("2xH100")
    node.save(entry())
    assert node.boot().returncode == 0
    writes = node.sim.write_count()

    done = node.boot()

    assert (done.returncode, done.stdout) == (0, "migprov: GPU 0, 1: layout already in place\n")
    assert node.sim.write_count() == writes


def test_a_mode_change_that_ampere_left_pending_is_finished(machine: Callable[..., Machine]) -> None:
    node = machine("1xA100-80GB")
    node.sim.fault(0, hypervisor=True)
    node.save(entry())
    assert "reboot the node" in failed(node.boot())
    node.sim.reboot()  # which brings the mode into effect

    assert node.boot().returncode == 0
    assert node.places() == [("3g.40gb", 0), ("3g.40gb", 4)]


@pytest.mark.parametrize("call", ["nvmlDeviceGetCount_v2", "nvmlDeviceGetMigMode"])
def test_the_driver_may_come_up_late(machine: Callable[..., Machine], call: str) -> None:
    node = machine()
    node.sim.fault(call=call, error="DRIVER_NOT_LOADED", times=2)
    node.save(entry(), boot={"driver_wait_s": 50})
    done = node.boot()
    assert done.returncode == 0, done.stderr
    assert node.places() == [("3g.40gb", 0), ("3g.40gb", 4)]


def test_the_kernel_module_may_be_loaded_late(machine: Callable[..., Machine]) -> None:
    node = machine(driver="not-loaded")
    node.save(entry(), boot={"driver_wait_s": 50})
    command = [sys.executable, "-I", "-S", str(node.pyz), "--boot", str(node.file)]
    started = subprocess.Popen(command, env=node.env(), stdout=subprocess.PIPE, text=True)
    try:
        node.sim.set_driver("loaded")  # whether it was asked before or not
        assert started.communicate(timeout=LIMIT_S)[0].startswith("migprov: GPU 0: layout restored")
    finally:
        started.kill()
        started.wait()


@pytest.mark.parametrize("condition", ["missing", "not-loaded", "mismatch"])
def test_without_a_driver_one_line_says_so(machine: Callable[..., Machine], condition: str) -> None:
    node = machine(driver=condition)
    node.save(entry(), boot={"driver_wait_s": 0.2})
    assert "next: " in failed(node.boot())


@pytest.mark.parametrize(
    "call", ["nvmlDeviceGetCount_v2", "nvmlDeviceGetMigMode", "nvmlDeviceCreateGpuInstanceWithPlacement"]
)
def test_a_driver_that_hangs_is_left(machine: Callable[..., Machine], call: str) -> None:
    node = machine("1xH100")
    node.sim.fault(call=call, hang_s=600.0)
    node.save(entry(), step_limit_s=1)
    failed(node.boot())
    node.sim.clear_faults()
    assert node.boot().returncode == 0  # and the lock is free


def test_a_driver_that_does_not_close_when_all_is_done_changes_nothing(machine: Callable[..., Machine]) -> None:
    node = machine("1xH100")
    node.sim.fault(call="nvmlShutdown", hang_s=600.0, skip=1)
    node.save(entry(), step_limit_s=1)
    done = node.boot()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("migprov: GPU 0: layout restored in ")


def test_a_restore_that_takes_too_long_leaves_no_service_stopped(machine: Callable[..., Machine]) -> None:
    node = machine("1xA100-80GB")
    dcgm = node.sim.service("nvidia-dcgm")
    try:
        node.sim.fault(call="nvmlDeviceSetMigMode", hang_s=600.0)
        node.save(entry(), boot={"limit_s": 2})
        assert "not done within 2 s" in failed(node.boot())
        limit = time.monotonic() + LIMIT_S
        while not dcgm.active:  # systemd is only told to start it
            assert time.monotonic() < limit
            time.sleep(0.05)
    finally:
        node.sim.power_off()


def test_the_whole_has_a_limit_of_its_own(machine: Callable[..., Machine]) -> None:
    node = machine("1xH100")
    node.sim.fault(call="nvmlDeviceCreateGpuInstanceWithPlacement", hang_s=600.0)
    node.save(entry(), step_limit_s=600, boot={"limit_s": 2})
    assert "not done within 2 s" in failed(node.boot())


def test_a_gpu_that_is_gone_does_not_keep_the_others_from_their_layout(machine: Callable[..., Machine]) -> None:
    node = machine("2xH100")
    node.save(entry(["GPU-11111111-2222-3333-4444-555555555555"]), entry([node.uuid(0)]))
    line = failed(node.boot())
    assert "GPU 0: layout restored in" in line
    assert "GPU-11111111-2222-3333-4444-555555555555 is no GPU of this node now" in line
    assert node.places(0) == [("3g.40gb", 0), ("3g.40gb", 4)]


def test_a_gpu_that_does_not_answer_does_not_keep_the_others_from_theirs(machine: Callable[..., Machine]) -> None:
    node = machine("2xH100")
    node.save(entry([node.uuid(0)]), entry([node.uuid(1)]))
    node.sim.fault(1, lost=True)
    node.save(entry([0]), entry([1]), boot={"driver_wait_s": 50})  # a lost GPU is not waited for
    line = failed(node.boot())
    assert "GPU 0: layout restored in" in line
    assert "could not restore: GPU 1" in line
    assert node.places(0) == [("3g.40gb", 0), ("3g.40gb", 4)]


def test_work_that_is_already_there_is_not_touched(machine: Callable[..., Machine]) -> None:
    node = machine("1xA100-80GB")
    pid = node.sim.hold(0, 100)
    node.save(entry())
    assert f"process {int(pid)}" in failed(node.boot())
    assert node.sim.holders() == [int(pid)]
    assert node.sim.write_count() == 0


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[]", "mapping"),
        ('{"protocol": 2}', "protocol"),
        ('{"protocol": 1, "task": "info"}', "only a layout"),
        ('{"protocol": 1, "task": "layout", "params": {"entries": []}}', "at least one entry"),
        ('{"protocol": 1, "task": "layout", "params": {"entries": [{}], "drain": "terminate"}}', "must be refuse"),
        ('{"protocol": 1, "task": "layout", "boot": {"limit_s": 1e9}}', "entries"),
        ("\x00\xff" * 10, "not JSON"),
    ],
)
def test_a_file_that_is_no_saved_layout(machine: Callable[..., Machine], text: str | None, word: str) -> None:
    node = machine()
    if text is not None:
        node.file.write_text(text, "latin-1")
    line = failed(node.boot())
    assert word in line
    assert str(node.file) in line
    assert node.sim.counters() == {}


def test_the_journal_gets_the_level(machine: Callable[..., Machine]) -> None:
    node = machine()
    node.save(entry())
    assert node.boot(JOURNAL_STREAM="8:1").stdout.startswith("<6>migprov: ")
    node.file.unlink()
    assert node.boot(JOURNAL_STREAM="8:1").stderr.startswith("<3>migprov: ")


def test_rollback_goes_back_before_the_last_change_that_somebody_made(machine: Callable[..., Machine]) -> None:
    node = machine("1xH100")
    node.call("layout", entries=[entry("all", [{"profile": "7g.80gb", "start": 0}])])
    node.call("layout", entries=[entry()])
    node.save(entry())
    node.sim.reboot()
    assert node.boot().returncode == 0

    assert node.call("rollback")["error"] is None
    assert node.places() == [("7g.80gb", 0)]
    assert [change["task"] for change in node.call("history")["data"]["changes"]][2:] == ["boot", "rollback"]
