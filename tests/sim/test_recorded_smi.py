"""Every field of recorded `nvidia-smi -q -x`, from the NVML of a simulated machine like the recorded one."""

from __future__ import annotations

import os
import re
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode
from tests.sim.conftest import on_node
from tests.sim.recordings import Machine, files, form, product_of
from tests.sim.smi_fields import FIELDS, said

RECORDINGS = files("*-nvidia-smi-q.xml")

_BOARD, _PLACE = "identity of one board", "where the board sits in its machine"
_MOMENT = "a reading of the moment"
# The form is compared then: a number for a number, the same unit.
MAY_DIFFER = {
    "serial": _BOARD,
    "uuid": _BOARD,
    "pdi": _BOARD,
    "board_id": _PLACE,
    "platformInfo/module_id": _PLACE,
    "pci/pci_bus": _PLACE,
    "pci/pci_device": _PLACE,
    "pci/pci_bus_id": _PLACE,
    "pci/replay_counter": _MOMENT,
    "pci/tx_util": _MOMENT,
    "pci/rx_util": _MOMENT,
    "temperature/gpu_temp": _MOMENT,
    "temperature/gpu_temp_tlimit": _MOMENT,
    "temperature/memory_temp": _MOMENT,
    "gpu_power_readings/average_power_draw": _MOMENT,
    "gpu_power_readings/instant_power_draw": _MOMENT,
    "gpu_memory_power_readings/average_power_draw": _MOMENT,
    "clocks/graphics_clock": _MOMENT,
    "clocks/sm_clock": _MOMENT,
    "clocks/video_clock": _MOMENT,
}
# nvidia-smi gets these from no public call of NVML, or says them of itself.
NOT_OF_NVML = {
    "display_mode": "a sentence of nvidia-smi's own",
    "gpu_part_number": "a private call",
    "gpu_fru_part_number": "a private call",
    "platformInfo/chassis_serial_number": "absent there; only its module number is NVML's",
    "platformInfo/slot_number": "absent there",
    "platformInfo/tray_index": "absent there",
    "platformInfo/host_id": "absent there",
    "platformInfo/peer_type": "absent there",
    "platformInfo/gpu_fabric_guid": "absent there",
    "ibmnpu/relaxed_ordering_mode": "a private call",
    "pci/pci_gpu_link_info/pcie_gen/max_host_link_gen": "a private call",
    "sparse_operation_mode": "a private call",
    "remapped_rows/remapped_row_corr_inactive": "fields 301 and 302, which this driver's NVML did not know",
    "remapped_rows/remapped_row_unc_inactive": "fields 301 and 302, which this driver's NVML did not know",
    "power_smoothing": "a private call",
    "power_profiles/power_profile_requested_profiles": "a private call",
    "power_profiles/power_profile_enforced_profiles": "a private call",
    "deferred_clocks/mem_clock": "a private call",
    "fabric/health/summary": "bits that stand for not known",
    "fabric/health/bandwidth": "bits that stand for not known",
    "fabric/health/route_recovery_in_progress": "bits that stand for not known",
    "fabric/health/route_unhealthy": "bits that stand for not known",
    "fabric/health/access_timeout_recovery": "bits that stand for not known",
    "fabric/health/incorrect_configuration": "bits that stand for not known",
    "fabric/health/partition_assigned": "bits that stand for not known",
    "capabilities/egm": "a private call",
}
CLOCKS = "supported_clocks/supported_mem_clock"


def leaves(element: ET.Element, path: str = "") -> Iterator[tuple[str, str]]:
    """Where each text is, and the text."""
    for child in element:
        here = f"{path}/{child.tag}" if path else child.tag
        if len(child):
            yield from leaves(child, here)
        else:
            yield here, (child.text or "").strip()


def alike(found: str, recorded: str) -> bool:
    """A number for a number, with the same unit; an identity of the same form."""
    numbers = (re.sub(r"^(0x[0-9a-f]+|[\d.]+)", "0", text) for text in (found, recorded))
    return form(found) == form(recorded) or len(set(numbers)) == 1


def machine_of(root: ET.Element) -> Machine:
    gpu = root.find("gpu")
    assert gpu is not None
    return Machine(
        product_of(int(gpu.findtext("pci/pci_device_id") or "", 16)),
        len(root.findall("gpu")),
        root.findtext("driver_version") or "",
        gpu.findtext("gpu_virtualization_mode/virtualization_mode") == "Pass-Through",
    )


@pytest.fixture(scope="module", params=RECORDINGS, ids=lambda path: path.name)
def recorded(request: Any, loaded: Any) -> Iterator[ET.Element]:
    """A recording, with a node like its machine as this process's own."""
    root = ET.parse(request.param).getroot()
    machine = machine_of(root)
    saved = os.environ.get("MIGPROV_SIM_STATE")
    with tempfile.TemporaryDirectory(prefix="migprov-sim-") as folder:
        node = SimNode.create(Path(folder) / "node", machine.gpu_list, machine.driver_version)
        machine.like(node)
        with on_node(node):
            yield root
    os.environ.pop("MIGPROV_SIM_STATE", None)
    if saved is not None:
        os.environ["MIGPROV_SIM_STATE"] = saved


def test_every_field_of_every_gpu(recorded: ET.Element) -> None:
    wrong, compared = [], 0
    for index, element in enumerate(recorded.findall("gpu")):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        for path, value in leaves(element):
            if path in NOT_OF_NVML or path.startswith(CLOCKS):
                continue
            compared += 1
            found = said(path, gpu) if path in FIELDS else "no call is known that it comes from"
            if found != value and not (path in MAY_DIFFER and alike(found, value)):
                wrong.append(f"GPU {index} {path}: {found}, recorded {value}")
    assert "\n".join(wrong) == ""
    assert compared > 150


def test_supported_clocks(recorded: ET.Element) -> None:
    for index, element in enumerate(recorded.findall("gpu")):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        listed = {
            int((memory.findtext("value") or "").split()[0]): [
                int((each.text or "").split()[0]) for each in memory.findall("supported_graphics_clock")
            ]
            for memory in element.findall(CLOCKS)
        }
        simulated = pynvml.nvmlDeviceGetSupportedMemoryClocks(gpu)
        assert simulated == list(listed)
        assert {mhz: pynvml.nvmlDeviceGetSupportedGraphicsClocks(gpu, mhz) for mhz in simulated} == listed


def test_the_machine(recorded: ET.Element) -> None:
    cuda = pynvml.nvmlSystemGetCudaDriverVersion()
    told = {
        "driver_version": pynvml.nvmlSystemGetDriverVersion(),
        "cuda_version": f"{cuda // 1000}.{cuda % 1000 // 10}",
        "attached_gpus": str(pynvml.nvmlDeviceGetCount()),
    }
    top = {child.tag: (child.text or "").strip() for child in recorded if child.tag not in ("gpu", "timestamp")}
    assert top == told


def test_no_allowance_is_stale() -> None:
    values: dict[str, set[str]] = {}
    for recording in RECORDINGS:
        for element in ET.parse(recording).getroot().findall("gpu"):
            for path, value in leaves(element):
                values.setdefault(path, set()).add(value)
    assert {*MAY_DIFFER, *NOT_OF_NVML} - set(values) == set()
    assert set(NOT_OF_NVML) & set(FIELDS) == set()
    assert set(FIELDS) - set(values) == set()
