"""Injected faults, driver conditions, counters, the log of writes, delays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode
from migprov.sim.errors import SimError

from .conftest import on_node


def test_a_call_fails_as_often_as_told(sim: Callable[..., Any]) -> None:
    nvml = sim("2xA100-80GB")
    first, second = nvml.gpu(0), nvml.gpu(1)
    nvml.node.fault(0, "nvmlDeviceGetMigMode", "UNKNOWN", times=2)
    for _ in range(2):
        with pytest.raises(pynvml.NVMLError_Unknown):
            pynvml.nvmlDeviceGetMigMode(first)
        assert list(pynvml.nvmlDeviceGetMigMode(second)) == [0, 0]
    assert list(pynvml.nvmlDeviceGetMigMode(first)) == [0, 0]


def test_a_fault_names_every_version_of_a_call(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.gpu()
    nvml.node.fault(0, "nvmlDeviceGetMemoryInfo", 999)
    for version in (None, pynvml.nvmlMemory_v2):
        with pytest.raises(pynvml.NVMLError_Unknown):
            pynvml.nvmlDeviceGetMemoryInfo(gpu, version)
    nvml.node.clear_faults()
    assert pynvml.nvmlDeviceGetMemoryInfo(gpu).total


def test_faults_of_instances_and_of_the_library(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    with on_node(node) as nvml:
        instance = nvml.create(nvml.cut(), "3g.40gb")
        node.fault(0, "nvmlGpuInstanceDestroy", "IN_USE", times=1)
        with pytest.raises(pynvml.NVMLError_InUse):
            pynvml.nvmlGpuInstanceDestroy(instance)
        pynvml.nvmlGpuInstanceDestroy(instance)
    node.fault(None, "nvmlInitWithFlags", "NO_PERMISSION", times=1)
    with pytest.raises(pynvml.NVMLError_NoPermission):
        pynvml.nvmlInit()
    with on_node(node):
        pass


@pytest.mark.parametrize(("call", "work"), [("nvmlInitWithFlags", "nvmlInit"), ("nvmlShutdown", "nvmlShutdown")])
def test_what_goes_wrong_late_of_the_librarys_begin_and_end(
    make_node: Callable[..., SimNode], call: str, work: str
) -> None:
    node = make_node("1xA100-80GB")
    with on_node(node):
        node.fault(None, call, "UNKNOWN", times=1, late=True)
        with pytest.raises(pynvml.NVMLError_Unknown):
            getattr(pynvml, work)()
        if work == "nvmlInit":
            pynvml.nvmlShutdown()  # of the beginning that was counted all the same
            assert pynvml.nvmlDeviceGetCount() == 1
        else:
            with pytest.raises(pynvml.NVMLError_Uninitialized):
                pynvml.nvmlDeviceGetCount()
            pynvml.nvmlInit()


def test_a_lost_gpu(sim: Callable[..., Any]) -> None:
    nvml = sim("2xA100-80GB")
    gpu = nvml.gpu(0)
    nvml.node.fault(0, lost=True)
    assert pynvml.nvmlDeviceGetCount() == 2
    uuid = nvml.node.show()["gpus"][0]["uuid"]
    for call in (
        lambda: nvml.gpu(0),
        lambda: pynvml.nvmlDeviceGetHandleByUUID(uuid),
        lambda: pynvml.nvmlDeviceGetMemoryInfo(gpu),
        lambda: pynvml.nvmlDeviceSetMigMode(gpu, 1),
        lambda: pynvml.nvmlDeviceGetFanSpeed(gpu),
    ):
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            call()
    assert pynvml.nvmlDeviceGetName(nvml.gpu(1))
    nvml.node.reboot()
    assert pynvml.nvmlDeviceGetName(nvml.gpu(0))


def test_a_gpu_that_requires_a_reset(sim: Callable[..., Any], loaded: Any) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.gpu()
    nvml.node.fault(0, requires_reset=True)
    with pytest.raises(pynvml.NVMLError_ResetRequired):
        pynvml.nvmlDeviceSetMigMode(gpu, 1)
    assert pynvml.nvmlDeviceGetUUID(gpu)
    assert loaded.migprovSimResetGpu(gpu) == 0
    assert pynvml.nvmlDeviceSetMigMode(gpu, 1) == 0


def test_a_hang_and_a_delay_take_at_least_so_long(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.gpu()

    def seconds() -> float:
        began = time.monotonic()
        pynvml.nvmlDeviceGetMigMode(gpu)
        return time.monotonic() - began

    nvml.node.fault(0, "nvmlDeviceGetMigMode", times=1, hang_s=0.05)
    assert seconds() >= 0.05
    nvml.node.latency("nvmlDeviceGetMigMode", 30000)
    assert seconds() >= 0.03


def test_calls_that_pass_before_and_a_fault_that_comes_after_the_work(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    call = "nvmlDeviceCreateGpuInstanceWithPlacement"
    nvml.node.fault(0, call, "UNKNOWN", times=1, skip=1, late=True)
    nvml.create(gpu, "1g.10gb", 0)
    with pytest.raises(pynvml.NVMLError_Unknown):
        nvml.create(gpu, "1g.10gb", 1)
    nvml.create(gpu, "1g.10gb", 2)
    assert [gi["start"] for gi in nvml.node.show()["gpus"][0]["instances"]] == [0, 1, 2]
    assert [write["result"] for write in nvml.node.writes()[-3:]] == [0, 0, 0]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("call", ["nvmlDeviceSetMigMode", "migprovSimResetGpu"])
def test_a_call_kills_who_makes_it(make_node: Callable[..., SimNode], call: str, late: bool) -> None:
    node = make_node("1xA100-80GB")
    node.fault(0, call, kill=True, late=late)
    reset = "import subprocess; subprocess.run(['nvidia-smi', '-r', '-i', '0'])"
    mode = "import pynvml as n; n.nvmlInit(); n.nvmlDeviceSetMigMode(n.nvmlDeviceGetHandleByIndex(0), 1)"
    code = mode if call == "nvmlDeviceSetMigMode" else reset
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **node.env()}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert node.write_count() == int(late)
    node.clear_faults()
    assert node.show()["faults"] == []


def test_what_cannot_be(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    for wrong in (
        lambda: node.fault(1, lost=True),
        lambda: node.fault(0, "nvmlDeviceGetMigMod", 3),
        lambda: node.fault(0, "nvmlDeviceGetMigMode", "NO_SUCH"),
        lambda: node.fault(0, "nvmlDeviceGetMigMode"),
        lambda: node.fault(error=3),
        lambda: node.latency("nvmlNothing", 5),
        lambda: SimNode.create(node.directory),
        lambda: SimNode.open(node.directory.parent),
    ):
        with pytest.raises(SimError):
            wrong()
    assert node.show()["faults"] == []
    with pytest.raises(SimError, match="nvmlDeviceGetMigMode"):  # the nearest name
        node.fault(0, "nvmlDeviceGetMigMod", 3)


@pytest.mark.parametrize(("driver", "error"), [("not-loaded", 9), ("mismatch", 18)])
def test_driver_conditions(make_node: Callable[..., SimNode], driver: str, error: int) -> None:
    node = make_node("1xA100-80GB", driver=driver)
    with pytest.raises(pynvml.NVMLError) as caught, on_node(node):
        pass
    assert caught.value.value == error
    assert pynvml.nvmlLib.nvmlShutdown() == 0  # measured of a real library whose beginning had failed
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetCount()
    assert node.show()["driver"] == driver
    node.set_driver("loaded")
    with on_node(node):
        assert pynvml.nvmlDeviceGetCount() == 1


def test_a_missing_driver(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB", driver="missing")
    assert not (node.directory / "lib" / "libnvidia-ml.so.1").exists()
    assert not (node.directory / "bin" / "nvidia-smi").exists()
    assert node.show()["driver"] == "missing"


def test_counters_and_writes(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.gpu()
    nvml.node.reset_counters()
    for _ in range(3):
        pynvml.nvmlDeviceGetMigMode(gpu)
    assert nvml.node.counters() == {"nvmlDeviceGetMigMode": 3}
    assert (nvml.node.write_count(), nvml.node.writes()) == (0, [])
    pynvml.nvmlDeviceSetMigMode(gpu, 1)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceCreateGpuInstance(gpu, 77)
    made = nvml.create(gpu, "3g.40gb", 0)
    pynvml.nvmlGpuInstanceDestroy(made)
    kept = [(write["call"], write["gpu"], write["result"]) for write in nvml.node.writes()]
    assert kept == [
        ("nvmlDeviceSetMigMode", 0, 0),
        ("nvmlDeviceCreateGpuInstance", 0, 2),
        ("nvmlDeviceCreateGpuInstanceWithPlacement", 0, 0),
        ("nvmlGpuInstanceDestroy", 0, 0),
    ]
    assert nvml.node.write_count() == 4
    assert nvml.node.writes()[2]["args"] == {"profile": "3g.40gb", "profile_id": 9, "start": 0, "gi_id": 2}


def test_many_nodes_in_one_process(make_node: Callable[..., SimNode]) -> None:
    first, second = make_node("1xA100-80GB", name="first"), make_node("2xT4", name="second")
    with on_node(first) as nvml:
        kept, uuid = nvml.gpu(), pynvml.nvmlDeviceGetUUID(nvml.gpu())
    with on_node(second) as nvml:
        assert pynvml.nvmlDeviceGetCount() == 2
        assert pynvml.nvmlDeviceGetUUID(nvml.gpu()) != uuid
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            pynvml.nvmlDeviceGetUUID(kept)  # a handle of the other node
    with on_node(first):
        assert pynvml.nvmlDeviceGetUUID(kept) == uuid
