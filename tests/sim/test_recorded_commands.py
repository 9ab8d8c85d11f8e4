"""What a recorded nvidia-smi printed, command by command, against the NVML of a simulated machine like it.

The program itself is compared in tests/nvidia_smi; here it is the numbers, for every command that was recorded.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode
from tests.hardware import nvml_calls
from tests.sim.conftest import on_node
from tests.sim.recordings import Machine, files, form
from tests.sim.smi_fields import said

RECORDINGS = files("*-nvidia-smi.txt")
OFF = "No MIG-enabled devices found.\n"
# Texts of nvidia-smi's own, in which nothing is NVML's.
OWN_TEXTS = {"mig -h", "drain -h"}
QUERIES = {
    "uuid": "uuid",
    "name": "product_name",
    "pci.bus_id": "pci/pci_bus_id",
    "mig.mode.current": "mig_mode/current_mig",
    "mig.mode.pending": "mig_mode/pending_mig",
    "memory.total": "fb_memory_usage/total",
    "memory.used": "fb_memory_usage/used",
    "memory.reserved": "fb_memory_usage/reserved",
    "utilization.gpu": "utilization/gpu_util",
}


def commands(path: Path) -> dict[str, str]:
    """What was printed, by the command's arguments; each of them ended well."""
    found = re.findall(r"^\$ nvidia-smi ?([^\n]*)\n(.*?)^=== rc=0", path.read_text(), re.MULTILINE | re.DOTALL)
    return {arguments: text.rstrip("\n") + "\n" for arguments, text in found}


def summary(gpu: Any) -> list[str]:
    """What is in the table, in the order in which it comes; readings of the moment are left out."""
    total, used = (said(f"fb_memory_usage/{key}", gpu).replace(" ", "") for key in ("total", "used"))
    limit = said("gpu_power_readings/current_power_limit", gpu)
    return [
        f"Driver Version: {pynvml.nvmlSystemGetDriverVersion()}",
        f"CUDA Version: {_cuda()}",
        f"0  {said('product_name', gpu)} ",
        {"Enabled": " On ", "Disabled": " Off "}[said("persistence_mode", gpu)],
        {"Enabled": ".0 On ", "Disabled": ".0 Off "}[said("display_active", gpu)],
        f"| {said('fan_speed', gpu)} ",
        f" {said('performance_state', gpu)} ",
        f"/  {float(limit.split()[0]):.0f}W |",
        f"{used} / {total} |",
        f"{said('utilization/gpu_util', gpu).replace(' ', '')} ",
        f"{said('compute_mode', gpu)} |",
        f"{said('mig_mode/current_mig', gpu)} |",
        "No running processes found" if not said("processes", gpu) else "MiB |",
    ]


def _cuda() -> str:
    version = pynvml.nvmlSystemGetCudaDriverVersion()
    return f"{version // 1000}.{version % 1000 // 10}"


def compare_summary(text: str, gpu: Any) -> None:
    at = 0
    for part in summary(gpu):
        assert part in text[at:], f"{part!r} after {text[:at][-80:]!r}"
        at += text[at:].index(part)


def compare_list(text: str, gpu: Any) -> None:
    assert form(text.strip()) == form(f"GPU 0: {said('product_name', gpu)} (UUID: {said('uuid', gpu)})")


def compare_versions(text: str, gpu: Any) -> None:
    driver = pynvml.nvmlSystemGetDriverVersion()
    told = dict(re.findall(r"^(.+?) *version *: (.+)$", text, re.MULTILINE | re.IGNORECASE))
    assert told == {"NVIDIA-SMI": driver, "NVML": driver[:7], "DRIVER": driver, "CUDA": _cuda()}


def compare_query(text: str, gpu: Any) -> None:
    header, row = ([cell.strip() for cell in line.split(",")] for line in text.splitlines())
    for name, value in zip((cell.split(" ")[0] for cell in header), row, strict=True):
        if name in ("index", "driver_version"):
            assert value == {"index": "0", "driver_version": pynvml.nvmlSystemGetDriverVersion()}[name]
        elif name in ("uuid", "pci.bus_id"):
            assert form(value) == form(said(QUERIES[name], gpu))
        else:
            assert value == said(QUERIES[name], gpu), name


def compare_processes(text: str, gpu: Any) -> None:
    assert len(text.splitlines()) == 1 and said("processes", gpu) == ""


def compare_profiles(text: str, gpu: Any) -> None:
    """Two lines a profile: memory in GiB to a quarter; SMs and engines."""
    listed = re.findall(r"\|   0  MIG (\S+) +(\d+) +(\d+)/(\d+) +(\S+) +No +(.*?) +\|\n\| +(.*?) +\|", text)
    found = []
    for profile in nvml_calls.profiles(gpu).values():
        if "err" not in profile:
            gib = f"{round(profile['memorySizeMB'] / 1024 * 4) / 4:.2f}"
            first = [profile[key] for key in ("multiprocessorCount", "decoderCount", "encoderCount")]
            second = [profile[key] for key in ("copyEngineCount", "jpegCount", "ofaCount")]
            room = [str(profile[key]) for key in ("id", "remaining", "instanceCount")]
            engines = [" ".join(map(str, numbers)) for numbers in (first, second)]
            found.append((profile["name"].removeprefix("MIG "), *room, gib, *engines))
    assert sorted((*row[:5], *(" ".join(cell.split()) for cell in row[5:])) for row in listed) == sorted(found)
    assert len(listed) == text.count("  MIG ")


def compare_placements(text: str, gpu: Any) -> None:
    listed = {int(id): (starts, int(size)) for id, starts, size in re.findall(r"ID +(\d+) .*\{(.*)\}:(\d+)", text)}
    assert len(listed) == len(text.splitlines()) == 7
    for id, (starts, size) in listed.items():
        assert nvml_calls.placements(gpu, id) == [[int(start), size] for start in starts.split(",")]


def compare_nothing(text: str, gpu: Any) -> None:
    assert text == OFF and said("mig_mode/current_mig", gpu) == "Disabled"


def compare_topology(text: str, gpu: Any) -> None:
    """Which processors are near is the machine's; that all memory is one node's, and none the GPU's, is compared."""
    plain = re.sub(r"\x1b\[\d*m", "", text)
    row = next(line for line in plain.splitlines() if line.startswith("GPU0\t X"))
    assert [cell.strip() for cell in row.split("\t") if cell.strip()][3:] == ["0", "N/A"]
    assert pynvml.nvmlDeviceGetMemoryAffinity(gpu, 1, 0)[0] == 1
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetNumaNodeId(gpu)


COMPARE: dict[str, Callable[[str, Any], None]] = {
    "": compare_summary,
    "-L": compare_list,
    "--version": compare_versions,
    "--query-gpu": compare_query,
    "--query-compute-apps": compare_processes,
    "mig -lgip": compare_profiles,
    "mig -lgipp": compare_placements,
    "mig -lgi": compare_nothing,
    "mig -lci": compare_nothing,
    "mig -lcip": compare_nothing,
    "topo -m": compare_topology,
}


@pytest.fixture(scope="module")
def gpu(loaded: Any) -> Iterator[Any]:
    """The simulated card like the recorded one."""
    text = RECORDINGS[0].read_text()
    version = re.search(r"DRIVER version +: (\S+)", text)
    assert version and "NVIDIA H200" in text
    saved = os.environ.get("MIGPROV_SIM_STATE")
    with tempfile.TemporaryDirectory(prefix="migprov-sim-") as folder:
        machine = Machine("H200", 1, version[1], True)
        node = SimNode.create(Path(folder) / "node", machine.gpu_list, machine.driver_version)
        machine.like(node)
        with on_node(node) as nvml:
            yield nvml.gpu()
    os.environ.pop("MIGPROV_SIM_STATE", None)
    if saved is not None:
        os.environ["MIGPROV_SIM_STATE"] = saved


CASES = [(path.name, *one) for path in RECORDINGS for one in commands(path).items() if one[0] not in OWN_TEXTS]


@pytest.mark.parametrize(("file", "arguments", "text"), CASES, ids=[f"{case[0]}: {case[1]}" for case in CASES])
def test_command(gpu: Any, file: str, arguments: str, text: str) -> None:
    """A command that was recorded and that nobody knows how to compare is an error."""
    COMPARE[arguments.partition("=")[0]](text, gpu)


def test_all_commands_were_recorded() -> None:
    recorded = {arguments.partition("=")[0] for path in RECORDINGS for arguments in commands(path)}
    assert recorded == {*COMPARE, *OWN_TEXTS}
    assert sum(path.read_text().count("\n$ nvidia-smi") + 1 for path in RECORDINGS) == len(CASES) + len(OWN_TEXTS)
