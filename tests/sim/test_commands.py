"""`migprov sim` but for up and down."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from migprov.sim.commands import sim
from migprov.sim.driver import SimNode
from migprov.sim.errors import SimError


def run(*arguments: str) -> str:
    done = CliRunner().invoke(sim, [*arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def shown(folder: Path) -> Any:
    return json.loads(run("show", "-n", str(folder), "--json"))


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    run("create", str(tmp_path / "node"), "--gpus", "2xA100-80GB")
    yield tmp_path / "node"
    SimNode.open(tmp_path / "node").reboot()


def test_create_prints_the_environment(tmp_path: Path) -> None:
    exports = run("create", str(tmp_path / "my node"), "--gpus", "1xT4")
    command = f"{exports}\nnvidia-smi -L"
    done = subprocess.run(["sh", "-ec", command], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.stdout.startswith("GPU 0: Tesla T4"), done.stderr


def test_hold_show_release(folder: Path) -> None:
    pid = int(run("hold", "-n", str(folder), "1", "9830", "--command", "asr"))
    assert [process["pid"] for process in shown(folder)["gpus"][1]["processes"]] == [pid]
    assert f"process {pid}: compute, 9830 MiB" in run("show", "-n", str(folder))
    run("release", "-n", str(folder), str(pid))
    assert shown(folder)["gpus"][1]["processes"] == []


def test_fault_and_reboot(folder: Path) -> None:
    run("fault", "-n", str(folder), "1", "--lost")
    run("fault", "-n", str(folder), "0", "--call", "nvmlDeviceSetMigMode", "--error", "IN_USE", "--times", "1")
    assert [gpu["lost"] for gpu in shown(folder)["gpus"]] == [False, True]
    assert shown(folder)["faults"][0]["error"] == 19
    assert "lost" in run("show", "-n", str(folder))
    run("reboot", "-n", str(folder))
    assert [gpu["lost"] for gpu in shown(folder)["gpus"]] == [False, False]
    run("fault", "-n", str(folder), "--clear", "--driver", "mismatch")
    assert (shown(folder)["faults"], shown(folder)["driver"]) == ([], "mismatch")


def test_counters_writes_latency(folder: Path) -> None:
    subprocess.run([str(folder / "bin" / "nvidia-smi"), "--gpu-reset", "-i", "1"], check=True, capture_output=True)
    counted = json.loads(run("counters", "-n", str(folder), "--json"))
    assert counted["calls"]["migprovSimResetGpu"] == counted["writes"] == 1
    assert "GPU 1  migprovSimResetGpu" in run("writes", "-n", str(folder))
    run("counters", "-n", str(folder), "--reset")
    assert json.loads(run("counters", "-n", str(folder), "--json")) == {"calls": {}, "writes": 0}
    assert json.loads(run("writes", "-n", str(folder), "--json")) == []
    run("latency", "-n", str(folder), "5", "--call", "nvmlDeviceGetName")


def test_products() -> None:
    assert "A100-80GB  (A100)" in run("products")
    assert "B200-180GB  cannot be simulated" in run("products")
    assert "T4" in json.loads(run("products", "--json"))["products"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hold", "0", "--command", "it's"], "no command line"),
        (["hold", "0", "--user", "99999999999"], "no user has the number"),
        (["hold", "0", "--user", "-7"], "no user has the number"),
        (["hold", ""], "no GPU"),
        (["release", "{pid}", "1"], "held by process 1; none was ended"),
        (["service", "asr", "--command", "it's"], "no command line"),
        (["service", "asr", "--gpu", "0", "--mig", "MIG-none"], "asr.service does not start: there is no such MIG"),
        (["service", ""], "cannot be the name"),
        (["fault", "0", "--hang", "nan"], "cannot hang nan seconds"),
        (["fault", "0", "--hang", "inf"], "cannot hang inf seconds"),
        (["fault", "0", "--hang", "1e30"], "cannot hang"),
        (["fault", "0", "--error", "3", "--times", "2147483648"], "cannot happen 2147483648 times"),
        (["fault", "0", "--error", "3", "--skip", "4294967297"], "4294967297 calls cannot pass"),
        (["fault", "0", "--error", "²"], "no error of NVML"),
        (["fault", "0", "--lost", "--call", "nvmlNothing", "--error", "3"], "no function"),
        (["fault", "0", "--lost", "--call", "nvmlInit"], "an error, a hang or a kill"),
        (["fault", "--clear", "--driver", "mismatch", "--call", "nvmlNothing", "--error", "3"], "no function"),
        (["latency", "4294967296"], "cannot take"),
    ],
)
def test_what_is_refused_changes_nothing(folder: Path, words: list[str], said: str) -> None:
    pid = run("hold", "-n", str(folder), "1", "10").strip()
    run("fault", "-n", str(folder), "1", "--call", "nvmlDeviceGetName", "--error", "3")
    before = shown(folder)
    first, *rest = (word.format(pid=pid) for word in words)
    with pytest.raises(SimError, match=re.escape(said)):
        run(first, "-n", str(folder), *rest)
    assert shown(folder) == before
    assert run("service", "-n", str(folder)).strip() == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["file"], "Not a directory"),
        (["file/node"], "Not a directory"),
        (["/proc/node"], "cannot be made in /proc/node"),
        (["x" * 300], "File name too long"),
        (["machine"], "has bin, lib already, and is no simulated node"),
        (["node", "--gpus", "99999999999999999999xT4"], "at most 16"),
        (["node", "--owner", "-5"], "no user has the number"),
        (["node", "--owner", "4294967295"], "no user has the number"),
    ],
)
def test_where_no_node_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for name in ("bin", "lib"):  # as / has
        (tmp_path / "machine" / name).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SimError, match=re.escape(said)):
        run("create", *words)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives things away")
def test_only_the_nodes_own_files_are_given_away(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    run("create", str(tmp_path), "--gpus", "1xT4", "--owner", "65534")
    owners = {path.name: path.stat().st_uid for path in tmp_path.iterdir()}
    assert owners.pop("mine") == 0
    assert set(owners.values()) == {65534}


def test_errors_are_of_the_request(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SimError, match="not a simulated node"):
        run("show", "-n", str(tmp_path))
    with pytest.raises(SimError, match="already is"):
        run("create", str(folder))
    assert CliRunner().invoke(sim, ["fault", "-n", str(folder)]).exit_code == 2
