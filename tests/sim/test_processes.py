"""Holders: real processes, where NVML shows them, what they stand in the way of."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

from migprov.sim import state
from migprov.sim.driver import Holder, SimNode
from migprov.sim.errors import HoldRefused, SimError

from .conftest import on_node

MIB = 1 << 20
LISTS = {
    "compute": pynvml.nvmlDeviceGetComputeRunningProcesses,
    "graphics": pynvml.nvmlDeviceGetGraphicsRunningProcesses,
    "mps": pynvml.nvmlDeviceGetMPSComputeRunningProcesses,
}


def rows(device: Any, kind: str = "compute") -> list[tuple[int, int, int, int]]:
    return [(p.pid, p.usedGpuMemory, p.gpuInstanceId, p.computeInstanceId) for p in LISTS[kind](device)]


@pytest.mark.parametrize("kind", [*LISTS, "monitor"])
def test_each_kind_is_in_its_own_list(sim: Callable[..., Any], kind: str) -> None:
    nvml = sim("2xA100-80GB")
    holder = nvml.node.hold(0, 9830, kind=kind)
    expected = [(holder, 9830 * MIB, 0xFFFFFFFF, 0xFFFFFFFF)]
    assert {each: rows(nvml.gpu(0), each) for each in LISTS} == {
        each: expected if each == kind else [] for each in LISTS
    }
    assert rows(nvml.gpu(1)) == []
    assert (nvml.gpu(0) and nvml.node.show()["gpus"][0]["processes"][0]["kind"]) == kind


def test_a_process_that_dies_vanishes(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    holder: Holder = nvml.node.hold(0, 100, command="python3 -m asr.server")
    assert Path(f"/proc/{holder}/comm").read_text() == "python3\n"
    assert Path(f"/proc/{holder}/cmdline").read_bytes() == b"python3\0-m\0asr.server\0"
    assert holder.alive and nvml.node.holders() == [holder]
    os.kill(holder, signal.SIGKILL)
    while Path(f"/proc/{holder}/stat").exists() and ") Z" not in Path(f"/proc/{holder}/stat").read_text():
        pass
    assert rows(nvml.gpu()) == [] and not holder.alive
    with pytest.raises(SimError, match="holds no GPU"):
        nvml.node.release(holder)


def test_another_process_with_the_pid_of_a_dead_one_is_not_it(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    holder = nvml.node.hold(0, 100)
    try:
        with state.changing(nvml.node.directory / "state") as node:
            node.processes[0].start_time += 1
        assert rows(nvml.gpu()) == []
    finally:
        os.kill(holder, signal.SIGKILL)  # the node no longer knows it


def test_memory(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    before = pynvml.nvmlDeviceGetMemoryInfo(nvml.gpu()).free
    nvml.node.hold(0, 1000)
    after = pynvml.nvmlDeviceGetMemoryInfo(nvml.gpu()).free
    assert 1000 * MIB <= before - after < 1016 * MIB
    with pytest.raises(HoldRefused, match="memory"):
        nvml.node.hold(0, before // MIB)
    with pytest.raises(HoldRefused, match="memory"):
        nvml.node.hold(0, 2**44)  # more bytes than a number of 64 bits can hold
    assert len(nvml.node.holders()) == 1


def test_on_instances(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    for _ in range(2):
        pynvml.nvmlGpuInstanceCreateComputeInstance(nvml.create(gpu, "3g.40gb"), 2)
    first, second = nvml.mig_devices(gpu)
    uuid = pynvml.nvmlDeviceGetUUID(second)
    with pytest.raises(HoldRefused, match="MIG mode"):
        nvml.node.hold(0, 100)
    with pytest.raises(HoldRefused, match="memory"):
        nvml.node.hold(uuid, 40193)
    holder = nvml.node.hold(None, 20000, mig_uuid=uuid)
    row = (holder, 20000 * MIB, 2, 0)
    assert (rows(first), rows(second), rows(gpu)) == ([], [row], [row])
    assert pynvml.nvmlDeviceGetMemoryInfo(first).used == 0
    assert pynvml.nvmlDeviceGetMemoryInfo(second).used >= 20000 * MIB
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetUtilizationRates(gpu)


def test_no_such_device(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    with pytest.raises(HoldRefused, match="no such MIG device"):
        node.hold("MIG-00000000-0000-5000-8000-000000000000", 1)
    for wrong in (1, "GPU-none"):
        with pytest.raises(SimError, match="no GPU"):
            node.hold(wrong, 1)


def test_too_small_an_array(sim: Callable[..., Any], loaded: Any) -> None:
    import ctypes

    nvml = sim("1xA100-80GB")
    for _ in range(3):
        nvml.node.hold(0, 10)
    for name, size in (("", 16), ("_v2", 24), ("_v3", 24)):
        call = getattr(loaded, f"nvmlDeviceGetComputeRunningProcesses{name}")
        room, count = ctypes.create_string_buffer(b"\xee" * 3 * size, 3 * size), ctypes.c_uint(2)
        assert call(nvml.gpu(), ctypes.byref(count), room) == pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        assert count.value == 3 and room.raw[2 * size :] == b"\xee" * size


def device_files(node: SimNode, pid: int) -> set[str]:
    """What of the node's /dev a process has open."""
    folder = node.env()["MIGPROV_DEV"] + "/"
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {link.removeprefix(folder) for link in links if link.startswith(folder)}


def test_a_monitor_has_only_the_device_open(make_node: Callable[..., SimNode]) -> None:
    node = make_node("2xA100-80GB")
    assert device_files(node, node.hold(1, kind="monitor")) == {"nvidiactl", "nvidia1"}


def test_a_context_has_more_open(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    common = {"nvidiactl", "nvidia0", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "nvidia-caps/nvidia-cap2"}
    holder = node.hold(0, 10)
    assert device_files(node, holder) == common
    node.release(holder)
    with on_node(node) as nvml:
        gpu = nvml.cut()
        pynvml.nvmlGpuInstanceCreateComputeInstance(nvml.create(gpu, "3g.40gb", 0), 2)
        uuid = pynvml.nvmlDeviceGetUUID(nvml.mig_devices(gpu)[0])
    # GPU instance 2 and its compute instance 0 of GPU 0 have the minors 21 and 22 on real machines.
    assert device_files(node, node.hold(uuid, 10)) == common | {"nvidia-caps/nvidia-cap21", "nvidia-caps/nvidia-cap22"}
