"""MIG mode, reset and reboot, per family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml
import pytest

AMPERE, HOPPER = "1xA100-80GB", "1xH200"
IN_USE, NOT_SUPPORTED = pynvml.NVML_ERROR_IN_USE, pynvml.NVML_ERROR_NOT_SUPPORTED


def mode(gpu: Any) -> list[int]:
    return list(pynvml.nvmlDeviceGetMigMode(gpu))


@pytest.mark.parametrize("gpus", [AMPERE, HOPPER, "1xA30", "1xRTX-PRO-6000"])
def test_an_idle_gpu_follows_at_once(sim: Callable[..., Any], gpus: str) -> None:
    gpu = sim(gpus).gpu()
    assert mode(gpu) == [0, 0]
    assert pynvml.nvmlDeviceSetMigMode(gpu, 1) == 0
    assert mode(gpu) == [1, 1]
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu) > 0
    assert pynvml.nvmlDeviceSetMigMode(gpu, 0) == 0
    assert mode(gpu) == [0, 0]


@pytest.mark.parametrize("kind", ["compute", "graphics", "mps", "monitor"])
def test_a_busy_ampere_stays_pending_until_a_reset(sim: Callable[..., Any], loaded: Any, kind: str) -> None:
    nvml = sim(AMPERE)
    gpu = nvml.gpu()
    holder = nvml.node.hold(0, 100, kind=kind)
    assert pynvml.nvmlDeviceSetMigMode(gpu, 1) == IN_USE
    assert mode(gpu) == [0, 1]
    assert loaded.migprovSimResetGpu(gpu) == IN_USE
    nvml.node.release(holder)
    assert loaded.migprovSimResetGpu(gpu) == 0
    assert mode(gpu) == [1, 1]


def test_a_busy_hopper_changes_nothing(sim: Callable[..., Any]) -> None:
    nvml = sim(HOPPER)
    gpu = nvml.gpu()
    holder = nvml.node.hold(0, 100)
    assert pynvml.nvmlDeviceSetMigMode(gpu, 1) == IN_USE
    assert mode(gpu) == [0, 0]
    nvml.node.release(holder)
    nvml.node.hold(0, kind="monitor")
    assert pynvml.nvmlDeviceSetMigMode(gpu, 1) == 0


@pytest.mark.parametrize(("gpus", "pending"), [(AMPERE, 0), (HOPPER, 1)])
def test_instances_forbid_disabling(sim: Callable[..., Any], gpus: str, pending: int) -> None:
    nvml = sim(gpus)
    gpu = nvml.cut()
    instance = nvml.create(gpu, next(name for name in nvml.profiles(gpu) if name.startswith("3g")))
    assert pynvml.nvmlDeviceSetMigMode(gpu, 0) == IN_USE
    assert mode(gpu) == [1, pending]
    pynvml.nvmlGpuInstanceDestroy(instance)
    assert pynvml.nvmlDeviceSetMigMode(gpu, 0) == 0
    assert mode(gpu) == [0, 0]


def test_a_hypervisor_forbids_resets_and_a_reboot_does_it(sim: Callable[..., Any], loaded: Any) -> None:
    nvml = sim(AMPERE)
    gpu = nvml.gpu()
    nvml.node.fault(0, hypervisor=True)
    assert pynvml.nvmlDeviceSetMigMode(gpu, 1) == NOT_SUPPORTED
    assert mode(gpu) == [0, 1]
    assert loaded.migprovSimResetGpu(gpu) == NOT_SUPPORTED
    nvml.node.reboot()
    assert mode(gpu) == [1, 1]


@pytest.mark.parametrize(("gpus", "after"), [(AMPERE, [1, 1]), ("1xA30", [1, 1]), (HOPPER, [0, 0])])
def test_reboot(sim: Callable[..., Any], gpus: str, after: list[int]) -> None:
    nvml = sim(gpus)
    gpu = nvml.cut()
    name = next(iter(nvml.profiles(gpu)))
    instance = nvml.create(gpu, name)
    nvml.node.hold(0, kind="monitor")
    nvml.node.reboot()
    assert mode(gpu) == after
    assert nvml.instances(gpu, nvml.profiles(gpu)[name].id) == []
    assert nvml.node.holders() == []
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlGpuInstanceGetInfo(instance)


def test_a_reset_takes_the_instances_of_that_gpu_only(sim: Callable[..., Any], loaded: Any) -> None:
    nvml = sim("2xA100-80GB")
    first, second = nvml.cut(0), nvml.cut(1)
    nvml.create(first, "3g.40gb")
    kept = nvml.create(second, "3g.40gb")
    assert loaded.migprovSimResetGpu(first) == 0
    assert nvml.instances(first, 9) == []
    assert pynvml.nvmlGpuInstanceGetInfo(kept).profileId == 9
    assert [gpu["resets"] for gpu in nvml.node.show()["gpus"]] == [2, 1]


@pytest.mark.parametrize("wanted", [2, 99])
def test_a_mode_that_is_none(sim: Callable[..., Any], wanted: int) -> None:
    nvml = sim("1xT4")
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceSetMigMode(nvml.gpu(), wanted)


def test_a_gpu_without_mig(sim: Callable[..., Any], loaded: Any) -> None:
    nvml = sim("1xT4")
    gpu = nvml.gpu()
    for call in (
        lambda: pynvml.nvmlDeviceGetMigMode(gpu),
        lambda: pynvml.nvmlDeviceSetMigMode(gpu, 1),
        lambda: pynvml.nvmlDeviceCreateGpuInstance(gpu, 0),
        lambda: nvml.placements(gpu, 0),
        lambda: pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, 16),
    ):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            call()
    for call in (
        lambda: pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, 17),
        lambda: pynvml.nvmlDeviceCreateGpuInstance(gpu, 9),
        lambda: nvml.placements(gpu, 9),
        lambda: pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, 9),
    ):
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            call()
    for call in (
        lambda: pynvml.nvmlDeviceGetGpuInstanceById(gpu, 1),
        lambda: pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 0),
    ):
        with pytest.raises(pynvml.NVMLError_NotFound):
            call()
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu) == 0
    assert pynvml.nvmlDeviceGetName(gpu) == "Tesla T4"
