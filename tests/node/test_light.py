"""What a request loads and asks of the driver: counted, because that is what its time is made of."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from migprov.connect.command import install_command, run_command
from migprov.connect.program import program

from .conftest import Machine, entry

# Each takes milliseconds to load, and only few requests need one.
HEAVY = {
    "subprocess",
    "traceback",
    "pkgutil",
    "ctypes.util",
    "tempfile",
    "shutil",
    "hashlib",
    "zipfile",
    "inspect",
    "ast",
}
EVERY = {"", ".mig", ".mig.errors", ".mig.geometry", ".mig.names", ".mig.profiles", ".mig.state", ".mig.steps", ".node"}
EVERY |= {f".node.{name}" for name in ("__main__", "cgroup", "errors", "holders", "journal", "lock", "nvml")}
EVERY |= {f".node.{name}" for name in ("nvml_data", "outcome", "processes", "read", "request", "tasks", "watchdog")}
INFO = EVERY | {".node.reading"}
PLAN = {f".mig.{name}" for name in ("arrange", "compute", "drain", "fit", "legality", "plan", "select", "wanted")}
NOTHING_TO_DO = EVERY | PLAN | {".node.changing", ".node.driver", ".node.services"}
INSTANCES = ("3g.40gb", "2g.20gb", "1g.10gb")


def loaded(node: Machine, task: str, **params: object) -> set[str]:
    """The modules that a later call of the program as it lies on nodes imports."""
    request = json.dumps({"protocol": 1, "task": task, "params": params}).encode()
    shell = ["/bin/sh", "-c"]
    install = install_command(program().digest, len(program().data), python=sys.executable)
    subprocess.run([*shell, install], input=program().data + request, env=node.env(), capture_output=True, check=True)
    words = shlex.split(
        run_command(program().digest, python=sys.executable).partition(" -c ")[2].partition("; s=$?")[0]
    )
    command = [sys.executable, "-X", "importtime", "-E", "-s", "-S", "-c", *words]
    done = subprocess.run(command, input=request, env=node.env(), capture_output=True, check=True, text=False)
    assert json.loads(done.stdout)["error"] is None
    lines = done.stderr.decode().splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.mark.parametrize(
    ("task", "params", "ours"),
    [("info", {}, INFO), ("layout", {"entries": [entry(*INSTANCES)]}, NOTHING_TO_DO)],
    ids=["info", "layout in place"],
)
def test_a_request_loads_what_it_uses_and_no_more(machine, task: str, params: dict[str, object], ours: set[str]):
    node = machine("1xA100-80GB")
    node.layout(*INSTANCES)
    names = loaded(node, task, **params)
    assert {name.removeprefix("migprov_node") for name in names if name.startswith("migprov_node")} == ours
    assert "pynvml" in names
    assert not names & HEAVY


def test_the_driver_is_asked_once_for_what_does_not_change(machine):
    node = machine("2xA100-80GB")
    node.layout(*INSTANCES, "1g.10gb")
    node.sim.reset_counters()
    node.ok("info")
    calls = node.sim.counters()
    once = ("Name", "PciInfo_v3", "MigMode", "MemoryInfo_v2", "MinorNumber", "RemappedRows", "HandleByIndex_v2")
    assert {calls[f"nvmlDeviceGet{name}"] for name in once} == {2}
    assert calls["nvmlInitWithFlags"] == calls["nvmlShutdown"] == 1
    # Places are for plans; compute profiles are those of a profile, not of each of its instances.
    assert "nvmlDeviceGetGpuInstancePossiblePlacements_v2" not in calls
    assert calls["nvmlGpuInstanceGetComputeInstanceProfileInfoV"] == 2 * 3 * 9


def test_places_are_read_where_a_plan_needs_them(machine):
    node = machine("1xA100-80GB")
    node.layout(*INSTANCES)
    node.sim.reset_counters()
    assert node.layout(*INSTANCES)["changed"] is False
    profiles = node.ok("info", profiles=True)["data"]["profiles"]["0"]["profiles"]
    assert all(profile["starts"] for profile in profiles)


def test_the_function_that_was_stood_in_for_is_the_real_one(shipped: Path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from migprov_node.node import nvml; import pynvml\n"
        "assert 'ctypes.util' not in sys.modules\n"
        "print(pynvml.find_library('c'))"
    )
    done = subprocess.run([sys.executable, "-c", code, shipped / "node"], capture_output=True, check=True, text=True)
    assert done.stdout.startswith("libc.so")
