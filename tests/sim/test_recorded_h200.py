"""The answers of a real H200 with MIG off, call by call, from the simulated one."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "h200-mig-off-nvml.json").read_text())
IDENTITY = {"nvmlDeviceGetUUID", "nvmlDeviceGetSerial"}
IDENTITY_FIELDS = {"busId", "busIdLegacy", "bus", "device"}
MIB = 1 << 20

_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "nvmlDeviceGetMemoryInfo_v2": lambda gpu: pynvml.nvmlDeviceGetMemoryInfo(gpu, pynvml.nvmlMemory_v2),
    "nvmlDeviceGetMigDeviceHandleByIndex0": lambda gpu: pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 0),
    "instance_by_id1": lambda gpu: pynvml.nvmlDeviceGetGpuInstanceById(gpu, 1),
    "nvmlDeviceGetTemperature": lambda gpu: pynvml.nvmlDeviceGetTemperature(gpu, 0),
}


@pytest.fixture
def h200(sim: Callable[..., Any]) -> Any:
    # It was a virtual machine that the GPU is passed through to: its virtualisation mode says so.
    nvml = sim("H200", driver_version="580.159.04")
    nvml.node.fault(0, hypervisor=True)
    return nvml


def answer(name: str, *arguments: Any) -> dict[str, Any]:
    call = _SPECIAL.get(name) or getattr(pynvml, name)
    try:
        return {"ok": plain(call(*arguments))}
    except pynvml.NVMLError as error:
        return {"err": error.value, "msg": str(error)}


def plain(value: Any) -> Any:
    if isinstance(value, ctypes.c_uint):
        return {}  # the recorder kept nothing of a bare number object
    if hasattr(value, "_fields_"):
        return {name: plain(getattr(value, name)) for name, _ in value._fields_}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "__dict__"):
        return {name: plain(each) for name, each in vars(value).items()}
    return value.decode() if isinstance(value, bytes) else value


def without_identity(found: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in found.items() if key != "us"}
    if isinstance(found.get("ok"), dict):
        found["ok"] = {key: value for key, value in found["ok"].items() if key not in IDENTITY_FIELDS}
    return found


@pytest.mark.parametrize("name", [name for name in RECORDED["system"] if name.startswith("nvml")])
def test_system(h200: Any, name: str) -> None:
    assert answer(name) == without_identity(RECORDED["system"][name])


@pytest.mark.parametrize("name", sorted(RECORDED["idle"]))
def test_idle(h200: Any, name: str) -> None:
    recorded, found = RECORDED["idle"][name], answer(name, h200.gpu())
    if name in IDENTITY:
        assert type(found["ok"]) is type(recorded["ok"]) and len(found["ok"]) == len(recorded["ok"])
    else:
        assert without_identity(found) == without_identity(recorded)


@pytest.mark.parametrize("name", sorted(RECORDED["one_cuda_process"]))
def test_one_process(h200: Any, name: str) -> None:
    recorded = RECORDED["one_cuda_process"]
    size = recorded["nvmlDeviceGetComputeRunningProcesses"]["ok"][0]["usedGpuMemory"]
    assert size % MIB == 0
    holder = h200.node.hold(0, size // MIB)
    found = without_identity(answer(name, h200.gpu()))
    expected = without_identity(recorded[name])
    if name.endswith("Processes"):
        expected["ok"][0]["pid"] = holder
    assert found == expected


@pytest.mark.parametrize("number", sorted(RECORDED["gpu_instance_profiles_by_enum"], key=int))
def test_profiles(h200: Any, number: str) -> None:
    recorded = RECORDED["gpu_instance_profiles_by_enum"][number]
    gpu = h200.gpu()
    for version in (1, 2):
        if "err" in recorded:
            with pytest.raises(pynvml.NVMLError) as caught:
                pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, int(number), version)
            assert caught.value.value == recorded["err"]
            continue
        info = plain(pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, int(number), version))
        assert info == {name: recorded[name] for name in info}
    if "err" not in recorded:
        assert [list(each) for each in h200.placements(gpu, recorded["id"])] == recorded["placements"]
        assert len(h200.instances(gpu, recorded["id"])) == recorded["instances"]
        assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, recorded["id"]) == recorded["instanceCount"]


def test_every_number_is_as_recorded(h200: Any) -> None:
    """Above the last profile it is an Invalid Argument, however far."""
    for number in RECORDED["profile_info_us"]:
        with_row = "err" not in RECORDED["gpu_instance_profiles_by_enum"].get(number, {"err": 2})
        if not with_row:
            expected = RECORDED["gpu_instance_profiles_by_enum"].get(number, {"err": 2})["err"]
            with pytest.raises(pynvml.NVMLError) as caught:
                pynvml.nvmlDeviceGetGpuInstanceProfileInfo(h200.gpu(), int(number))
            assert caught.value.value == expected


def test_handles(h200: Any) -> None:
    gpu = h200.gpu()
    uuid, bus_id = pynvml.nvmlDeviceGetUUID(gpu), pynvml.nvmlDeviceGetPciInfo(gpu).busId
    for found in (pynvml.nvmlDeviceGetHandleByUUID(uuid), pynvml.nvmlDeviceGetHandleByPciBusId(bus_id)):
        assert pynvml.nvmlDeviceGetIndex(found) == 0
    for call, argument, key in (
        (pynvml.nvmlDeviceGetHandleByUUID, "GPU-deadbeef-0000-0000-0000-000000000000", "byBadUUID"),
        (pynvml.nvmlDeviceGetHandleByIndex, 99, "byIndex99"),
    ):
        with pytest.raises(pynvml.NVMLError) as caught:
            call(argument)
        assert caught.value.value == RECORDED["handles"][key]
