"""Other people's programs, unchanged, on the simulated driver: what they say of whole cards, of MIG devices and of who
uses them. `scripts/nvml-programs.sh` installs them in an environment of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode
from migprov.sim.holders import Holder
from tests.sim.conftest import on_node

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
WHOLE_MIB, PART_MIB, LARGE_MIB = 9830, 4096, 12288
# What of a card's use is nobody's: recorded of an H200.
OVERHEAD = 9240576


@dataclass(frozen=True)
class Machine:
    """A node: a whole A100, an A100 and an H200 that are cut, a process on each."""

    node: SimNode
    programs: Path
    uuids: dict[str, str]  # of GPUs by index, of MIG devices as nvitop counts them: "1:0"
    pids: dict[str, Holder]

    def run(self, program: str, *arguments: str, script: str | None = None) -> str:
        """What a program prints; `script` is given to it as its standard input."""
        done = subprocess.run(
            [str(self.programs / "bin" / program), *arguments],
            env=self.env(),
            input=script or "",
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def env(self) -> dict[str, str]:
        return {
            "LD_LIBRARY_PATH": str(self.node.directory / "lib"),
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.node.directory),
            "COLUMNS": "79",
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        }


@pytest.fixture(scope="module")
def machine(loaded: Any) -> Iterator[Machine]:
    programs = Path(
        subprocess.run(
            [str(ROOT / "scripts" / "nvml-programs.sh"), "--path"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
    )
    if not (programs / ".complete").exists():
        pytest.skip("the programs are not installed: scripts/nvml-programs.sh")
    saved = os.environ.get("MIGPROV_SIM_STATE")
    with tempfile.TemporaryDirectory(prefix="migprov-sim-") as folder, contextlib.ExitStack() as stack:
        node = SimNode.create(Path(folder) / "node", "2xA100-80GB,1xH200")
        stack.callback(node.power_off)
        uuids = cut(node)
        pids = {
            "0": node.hold(0, WHOLE_MIB, command="python3 train.py"),
            "1:0": node.hold(uuids["1:0"], PART_MIB, command="python3 serve.py"),
            "2:1": node.hold(uuids["2:1"], LARGE_MIB, command="python3 serve.py --large"),
        }
        yield Machine(node, programs, uuids, pids)
    os.environ.pop("MIGPROV_SIM_STATE", None)
    if saved is not None:
        os.environ["MIGPROV_SIM_STATE"] = saved


def cut(node: SimNode) -> dict[str, str]:
    """MIG on GPUs 1 and 2, two instances each; the UUIDs of GPUs and MIG devices."""
    uuids = {}
    with on_node(node) as nvml:
        for index, profiles in ((1, ("3g.40gb", "4g.40gb")), (2, ("3g.71gb", "1g.18gb"))):
            gpu = nvml.cut(index)
            for profile in profiles:
                instance = nvml.create(gpu, profile)
                number = {"1": 0, "3": 2, "4": 3}[profile[0]]
                whole = pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, number, 0)
                pynvml.nvmlGpuInstanceCreateComputeInstance(instance, whole.id)
            for place, device in enumerate(nvml.mig_devices(gpu)):
                uuids[f"{index}:{place}"] = pynvml.nvmlDeviceGetUUID(device)
        for index in range(3):
            uuids[str(index)] = pynvml.nvmlDeviceGetUUID(nvml.gpu(index))
    return uuids


def cells(text: str) -> list[list[str]]:
    """The lines of a table, cell by cell, each with single blanks."""
    return [[" ".join(cell.split()) for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_nvitop_prints_cards_mig_devices_and_processes(machine: Machine) -> None:
    rows = cells(machine.run("nvitop", "--once", "--ascii"))
    assert ["0 A100-SXM4-80GB On", "00000000:07:00.0 Off", "Disabled 0"] in rows
    assert ["1 A100-SXM4-80GB On", "00000000:0F:00.0 Off", "Enabled 0"] in rows
    assert ["2 H200 On", "00000000:47:00.0 Off", "Enabled 0"] in rows
    assert ["N/A 33C P0 50W / 400W", "9839MiB / 80.00GiB", "0% Default"] in rows
    assert ["N/A 33C P0 50W / 400W", "4105MiB / 80.00GiB", "N/A Default"] in rows
    assert ["N/A 35C P0 78W / 700W", "12297MiB / 140.4GiB", "N/A Default"] in rows
    assert [row[:2] for row in rows if row[0][1:2] == ":"][:4] == [
        ["1:0 3g.40gb @ GI/CI: 1/0", "4105MiB / 39.25GiB"],
        ["1:1 4g.40gb @ GI/CI: 2/0", "0B / 39.25GiB"],
        ["2:0 3g.71gb @ GI/CI: 2/0", "0B / 69.75GiB"],
        ["2:1 1g.18gb @ GI/CI: 7/0", "12297MiB / 16384MiB"],
    ]
    processes = [row[0].split() for row in rows if "python3" in row[0]]
    assert [(row[0], int(row[1]), row[2], row[4]) for row in processes] == [
        ("0", machine.pids["0"], "C", "9830MiB"),
        ("1:0", machine.pids["1:0"], "C", "4096MiB"),
        ("2:1", machine.pids["2:1"], "C", "12288MiB"),
    ]
    assert all(row[-2] == "python3" for row in processes)


NVITOP = """
import json
from nvitop import Device
def one(device):
    return {
        "uuid": device.uuid(), "name": device.name(), "total": device.memory_total(), "used": device.memory_used(),
        "utilization": str(device.gpu_utilization()), "mig": device.is_mig_mode_enabled(),
        "processes": sorted([pid, process.gpu_memory()] for pid, process in device.processes().items()),
        "driver": device.driver_version(), "capability": device.cuda_compute_capability(),
        "link": [str(device.max_sm_clock()), str(device.power_limit())],
    }
print(json.dumps({str(d.index): [one(d), [[*m.index, one(m)] for m in d.mig_devices()]] for d in Device.all()}))
"""


def test_nvitop_as_a_library(machine: Machine) -> None:
    found = json.loads(machine.run("python", "-", script=NVITOP))
    whole, parts = found["0"]
    assert whole == {
        "uuid": machine.uuids["0"],
        "name": "NVIDIA A100-SXM4-80GB",
        "total": 81920 * MIB,
        "used": WHOLE_MIB * MIB + OVERHEAD,
        "utilization": "0",
        "mig": False,
        "processes": [[machine.pids["0"], WHOLE_MIB * MIB]],
        "driver": "580.159.04",
        "capability": [8, 0],
        "link": ["1410", "400000"],
    }
    assert parts == []
    card, devices = found["2"]
    assert (card["mig"], card["utilization"], card["link"]) == (True, "N/A", ["1980", "700000"])
    assert [device[:2] for device in devices] == [[2, 0], [2, 1]]
    assert [device[2]["name"] for device in devices] == ["NVIDIA H200 MIG 3g.71gb", "NVIDIA H200 MIG 1g.18gb"]
    assert [device[2]["uuid"] for device in devices] == [machine.uuids["2:0"], machine.uuids["2:1"]]
    assert [device[2]["total"] // MIB for device in devices] == [71424, 16384]
    assert [device[2]["processes"] for device in devices] == [[], [[machine.pids["2:1"], LARGE_MIB * MIB]]]
    assert [device[2]["uuid"] for device in found["1"][1]] == [machine.uuids["1:0"], machine.uuids["1:1"]]


def test_gpustat(machine: Machine) -> None:
    told = json.loads(machine.run("gpustat", "--json"))
    assert told["driver_version"] == "580.159.04"
    rows = [
        (gpu["uuid"], gpu["name"], gpu["memory.used"], gpu["memory.total"], gpu["utilization.gpu"], gpu["power.draw"])
        for gpu in told["gpus"]
    ]
    a100 = "NVIDIA A100-SXM4-80GB"
    assert rows == [
        (machine.uuids["0"], a100, WHOLE_MIB + 8, 81920, 0, 49),
        (machine.uuids["1"], a100, PART_MIB + 8, 81920, None, 49),
        (machine.uuids["2"], "NVIDIA H200", LARGE_MIB + 8, 143771, None, 78),
    ]
    processes = [
        [(one["pid"], one["gpu_memory_usage"], one["full_command"][0]) for one in gpu["processes"]]
        for gpu in told["gpus"]
    ]
    assert processes == [
        [(machine.pids["0"], WHOLE_MIB, "python3")],
        [(machine.pids["1:0"], PART_MIB, "python3")],
        [(machine.pids["2:1"], LARGE_MIB, "python3")],
    ]


def test_py3smi(machine: Machine) -> None:
    """Its bindings are of 2017: the first versions of the calls, which count what the driver keeps as used."""
    rows = cells(machine.run("py3smi"))
    assert rows[2] == ["NVIDIA-SMI Driver Version: 580.159.04"]
    gpus = {row[0].split()[0]: row for row in rows if len(row) == 3 and "W / " in row[0]}
    assert sorted(gpus) == ["0", "1", "2"]
    assert gpus["0"] == ["0 N/A% 33C 0 49W / 400W", "10188MiB / 81920MiB", "0% Default"]
    assert gpus["2"][:2] == ["2 N/A% 35C 0 78W / 700W", "12911MiB / 143771MiB"]
    listed = [row[0].split() for row in rows if "python3" in row[0]]
    assert [(row[0], int(row[2]), row[-1]) for row in listed] == [
        ("0", machine.pids["0"], "9830MiB"),
        ("1", machine.pids["1:0"], "4096MiB"),
        ("2", machine.pids["2:1"], "12288MiB"),
    ]


def test_glances(machine: Machine) -> None:
    told = machine.run("glances", "--stdout-json", "gpu", "--stop-after", "1", "--time", "1", "--disable-check-update")
    gpus = next(json.loads(line)["gpu"] for line in told.splitlines() if line.startswith('{"gpu"'))
    assert [(gpu["gpu_id"], gpu["name"], gpu["temperature"], gpu["proc"]) for gpu in gpus] == [
        ("nvidia0", "NVIDIA A100-SXM4-80GB", 33, 0),
        ("nvidia1", "NVIDIA A100-SXM4-80GB", 33, None),
        ("nvidia2", "NVIDIA H200", 35, None),
    ]
    used = {gpu["gpu_id"]: gpu["mem"] / 100 for gpu in gpus}
    assert used["nvidia2"] == pytest.approx((LARGE_MIB * MIB + OVERHEAD + 644939776) / (143771 * MIB))


EXAMPLES = """
import doctest, importlib.metadata, io, contextlib
text = importlib.metadata.distribution("nvidia-ml-py").read_text("METADATA")
space, out = {}, io.StringIO()
for example in doctest.DocTestParser().get_examples(text):
    source = example.source.split("\\n11.520.75")[0]  # the sample output of one has no line of its own
    with contextlib.redirect_stdout(out):
        exec(compile(source, "README", "exec"), space)
print(out.getvalue())
"""


def test_the_examples_of_nvidia_ml_py(machine: Machine) -> None:
    """Those of its own description, as they stand there."""
    lines = [line for line in machine.run("python", "-", script=EXAMPLES).splitlines() if line]
    assert lines == [
        "Driver Version: 580.159.04",
        "Device 0 : NVIDIA A100-SXM4-80GB",
        "Device 1 : NVIDIA A100-SXM4-80GB",
        "Device 2 : NVIDIA H200",
        "Uninitialized",
        f"Total memory: {81920 * MIB}",
        f"Free memory:, {81920 * MIB - used_of_the_first(machine)}",
        f"Used memory: {used_of_the_first(machine)}",
        "580.159.04",
        "Uninitialized",
        "Uninitialized",
    ]


def used_of_the_first(machine: Machine) -> int:
    """As the first version of the call has it."""
    with on_node(machine.node) as nvml:
        return int(pynvml.nvmlDeviceGetMemoryInfo(nvml.gpu(0)).used)


def test_nvitop_exporter(machine: Machine) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = ["--bind-address", "127.0.0.1", "--port", str(port), "--interval", "1"]
    program = str(machine.programs / "bin" / "nvitop-exporter")
    null = subprocess.DEVNULL
    exporter = subprocess.Popen([program, *address], env=machine.env(), stdout=null, stderr=null)
    try:
        text = until_it_tells(port, [f'pid="{pid}"' for pid in machine.pids.values()], devices=len(machine.uuids))
    finally:
        exporter.kill()
        exporter.wait()
    memory = dict(MEMORY_USED.findall(text))
    assert {uuid: int(float(mib)) for uuid, mib in memory.items()} == {
        machine.uuids["0"]: WHOLE_MIB + 8,
        machine.uuids["1"]: PART_MIB + 8,
        machine.uuids["1:0"]: PART_MIB + 8,
        machine.uuids["1:1"]: 0,
        machine.uuids["2"]: LARGE_MIB + 8,
        machine.uuids["2:0"]: 0,
        machine.uuids["2:1"]: LARGE_MIB + 8,
    }
    assert 'devicename="NVIDIA H200 MIG 1g.18gb"' in text
    assert f'pid="{machine.pids["2:1"]}"' in text


MEMORY_USED = re.compile(r'^gpu_memory_used_MiB\{.*uuid="([^"]+)"\} (\S+)', re.MULTILINE)


def until_it_tells(port: int, wanted: list[str], devices: int) -> str:
    """The exporter's page, once all of that is in it, and the memory of so many devices."""
    text = ""
    for _ in range(600):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        if all(each in text for each in wanted) and len(MEMORY_USED.findall(text)) == devices:
            return text
        time.sleep(0.1)
    raise AssertionError(f"not all of {wanted} in: {text[-2000:]}")
