"""What NVIDIA's program says of a simulated H200, and what it said of a real one (driver 580, MIG off)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from .conftest import DATA, Answer, Machine

XML = DATA / "h200x2-mig-off-nvidia-smi-q.xml"


@cache
def recorded() -> dict[str, Answer]:
    """By the command's arguments."""
    text = (DATA / "h200-mig-off-nvidia-smi.txt").read_text()
    found = re.findall(r"^\$ nvidia-smi ?([^\n]*)\n(.*?)^=== rc=(\d+)", text, re.MULTILINE | re.DOTALL)
    return {arguments: Answer(int(code), said) for arguments, said, code in found}


def without_identity(text: str) -> str:
    """UUIDs and bus ids are each machine's own."""
    for own in (r"GPU-[0-9a-f-]{36}", r"00000000:[0-9A-F]{2}:[0-9A-F]{2}\.0"):
        text = re.sub(own, "*", text)
    return text


@pytest.fixture
def h200(machine: Callable[..., Machine]) -> Machine:
    return machine("1xH200")


@pytest.mark.parametrize("arguments", ["-L", "mig -lgi", "mig -lci", "mig -lcip"])
def test_lists(h200: Machine, arguments: str) -> None:
    """The newer program ends with 0 where 535 ends with 6, Not Found; the words are the same."""
    answer = h200.smi(*arguments.split())
    assert without_identity(answer.text) == without_identity(recorded()[arguments].text)
    assert answer.code == (6 if arguments.startswith("mig") else 0)


def test_fields(h200: Machine) -> None:
    (arguments,) = (each for each in recorded() if each.startswith("--query-gpu"))
    header, row = without_identity(h200.did(*arguments.split())).splitlines()
    # 535 cuts off what is below a MiB of the reserved memory, 580 rounds it up.
    assert [header, row.replace(" 615 MiB", " 616 MiB")] == without_identity(recorded()[arguments].text).splitlines()


def test_profiles_and_placements(h200: Machine) -> None:
    """535 lists them only while MIG is on, 580 always; its columns are wider."""
    assert h200.smi("mig", "-lgip").text == h200.smi("mig", "-lgipp").text == "No MIG-enabled devices found.\n"
    h200.did("-i", "0", "-mig", "1")
    assert h200.rows("mig", "-lgip") == recorded()["mig -lgip"].rows
    assert len(recorded()["mig -lgip"].rows) == 7
    assert h200.did("mig", "-lgipp") == recorded()["mig -lgipp"].text


def test_summary(h200: Machine) -> None:
    """Two lines of the GPU, cell by cell; 535's columns have no room for this memory. Sensors differ, and may."""
    sensors = (r"\d+C", r"\d+W", r"14377\.\.\.|143771MiB")

    def cells(text: str) -> list[list[str]]:
        lines = [line for line in text.splitlines() if re.match(r"\|  +(0|N/A|\|) ", line)]
        for sensor in sensors:
            lines = [re.sub(sensor, "*", line) for line in lines]
        return [without_identity(line).replace("|", " ").split() for line in lines]

    said = h200.did()
    assert cells(said)[:2] == cells(recorded()[""].text)[:2]
    assert re.search(r"^\|\s+\|\s+\|\s+Disabled \|$", said, re.MULTILINE)
    assert "NVIDIA-SMI 535" in said and "No running processes found" in said


def leaves(element: ET.Element, path: str = "") -> Iterator[tuple[str, str]]:
    """Where each text is, and the text; the second of two alike has a number."""
    seen: Counter[str] = Counter()
    for child in element:
        seen[child.tag] += 1
        here = f"{path}/{child.tag}" + (f"[{seen[child.tag]}]" if seen[child.tag] > 1 else "")
        yield from leaves(child, here)
    if len(element) == 0:
        yield path, (element.text or "").strip()


# What is each machine's own, changes by itself, or is worded differently by 580.
OWN = {
    "timestamp", "serial", "uuid", "board_id", "pci_bus",
    "pci_device", "pci_bus_id", "minor_number",
    "tx_util", "rx_util", "replay_counter", "gpu_temp", "memory_temp", "gpu_temp_tlimit", "power_draw",
}  # fmt: skip
CLOCKS_NOW = "/clocks/"
REWORDED = {
    "display_mode": {"Enabled": "Requested functionality has been deprecated"},
    "reserved": {"615 MiB": "616 MiB"},
    "free": {"143155 MiB": "143156 MiB"},
}
UNKNOWN = {"N/A", "Uninitialized", "Unknown Error"}


def test_nothing_that_it_tells_contradicts_the_recording(machine: Callable[..., Machine]) -> None:
    """Every value of `-q -x` that both know of; what the simulated driver does not know is Not Supported."""
    two = machine("2xH200")
    for gpu in (0, 1):
        two.node.fault(gpu, hypervisor=True)  # the recorded GPUs were passed through to a virtual machine
    real, simulated = ET.parse(XML).getroot(), ET.fromstring(two.did("-q", "-x"))
    compared, wrong = 0, []
    for theirs, ours in zip(real.iter("gpu"), simulated.iter("gpu"), strict=True):
        known = dict(leaves(theirs))
        for path, value in leaves(ours):
            name = path.rsplit("/", 1)[1]
            if name in OWN or path.startswith(CLOCKS_NOW) or path not in known or value in UNKNOWN:
                continue
            compared += 1
            if REWORDED.get(name, {}).get(value, value) != known[path]:
                wrong.append(f"{path}: {value}, recorded {known[path]}")
    assert wrong == []
    assert compared > 80
