"""What is known of NVML's MIG calls beyond the recordings, which are of cards whose MIG mode is off; by NVIDIA's header
and kernel modules and by what others measured."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from .conftest import on_node
from .test_instances import compute, info, mig_device
from .test_permissions import NOBODY, as_user

INVALID, NO_PERMISSION, NOT_SUPPORTED = 2, 4, 3


@pytest.mark.parametrize("gpus", ["1xA100-80GB", "1xH200", "1xT4"])
@pytest.mark.parametrize(("mode", "with_place"), [(2, True), (1, False), (0, False)])
def test_the_arguments_of_a_mode_change_are_checked_before_the_card(
    sim: Callable[..., Any], loaded: Any, gpus: str, mode: int, with_place: bool
) -> None:
    nvml = sim(gpus)
    place = ctypes.byref(ctypes.c_int()) if with_place else None
    assert loaded.nvmlDeviceSetMigMode(nvml.gpu(), mode, place) == INVALID
    assert not nvml.node.show()["gpus"][0]["mig_pending"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("gpus", ["1xA100-80GB", "1xH200"])
def test_who_may_is_asked_before_whether_it_can_be(make_node: Callable[..., Any], loaded: Any, gpus: str) -> None:
    node, place = make_node(gpus), ctypes.c_void_p()
    with on_node(node) as nvml, as_user(NOBODY):
        gpu = nvml.gpu()  # its MIG mode is off
        for profile in (9, 99):
            assert loaded.nvmlDeviceCreateGpuInstance(gpu, profile, ctypes.byref(place)) == NO_PERMISSION
    with on_node(node) as nvml:
        gi = nvml.create(nvml.cut(), next(name for name in nvml.profiles(nvml.gpu()) if name.startswith("3g")))
        ci = compute(gi, 0)
    with as_user(NOBODY), on_node(node):
        rows = (pynvml.c_nvmlComputeInstance_t * 8)()
        count = ctypes.c_uint()
        assert {
            "create": loaded.nvmlGpuInstanceCreateComputeInstance(gi, 0, ctypes.byref(place)),
            "list": loaded.nvmlGpuInstanceGetComputeInstances(gi, 0, rows, ctypes.byref(count)),
            "find": loaded.nvmlGpuInstanceGetComputeInstanceById(gi, 0, ctypes.byref(place)),
            "destroy a part": loaded.nvmlComputeInstanceDestroy(ci),
            "destroy": loaded.nvmlGpuInstanceDestroy(gi),
        } == dict.fromkeys(("create", "list", "find", "destroy a part", "destroy"), NO_PERMISSION)
    assert len(node.show()["gpus"][0]["instances"][0]["compute_instances"]) == 1


@pytest.mark.parametrize("how", ["reset", "reboot"])
def test_no_handle_of_an_instance_outlives(sim: Callable[..., Any], loaded: Any, how: str) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    gi = nvml.create(gpu, "3g.40gb", 0)
    ci = compute(gi, 2)
    device = mig_device(ci)
    assert loaded.migprovSimResetGpu(gpu) == 0 if how == "reset" else nvml.node.reboot() is None
    compute(nvml.create(gpu, "3g.40gb", 0), 2)  # in the same place
    for call, handle in (
        (pynvml.nvmlGpuInstanceGetInfo, gi),
        (pynvml.nvmlComputeInstanceGetInfo_v2, ci),
        (pynvml.nvmlDeviceGetName, device),
        (pynvml.nvmlGpuInstanceDestroy, gi),
        (pynvml.nvmlComputeInstanceDestroy, ci),
    ):
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            call(handle)


@pytest.mark.parametrize(
    ("rotated", "profile", "ids"),
    [
        (False, "1g.6gb", {0: 3, 1: 4, 2: 5, 3: 6}),
        (True, "1g.6gb", {0: 5, 1: 6, 2: 3, 3: 4}),
        (False, "2g.12gb", {0: 1, 2: 2}),
        (True, "2g.12gb", {0: 2, 2: 1}),
        (False, "4g.24gb", {0: 0}),
    ],
)
def test_ids_of_a_card_with_four_memory_slices(
    sim: Callable[..., Any], rotated: bool, profile: str, ids: dict[int, int]
) -> None:
    nvml = sim("1xA30", rotated=rotated)
    gpu = nvml.cut()
    assert {start: info(nvml.create(gpu, profile, start))[0] for start in ids} == ids


RESETLESS, INDEPENDENT_QUERY = 184, 199


@pytest.mark.parametrize(
    ("gpus", "resetless", "query"), [("1xA100-80GB", 0, 1), ("1xA30", 0, 1), ("1xH200", 1, 1), ("1xT4", None, None)]
)
def test_what_the_driver_says_of_mode_changes(
    sim: Callable[..., Any], gpus: str, resetless: int | None, query: int | None
) -> None:
    rows = pynvml.nvmlDeviceGetFieldValues(sim(gpus).gpu(), [RESETLESS, INDEPENDENT_QUERY])
    found = [None if row.nvmlReturn == NOT_SUPPORTED else row.value.uiVal for row in rows]
    assert found == [resetless, query]


def test_the_parts_of_an_instance_share_its_memory(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    first = nvml.create(gpu, "3g.40gb", 0)
    devices = [mig_device(compute(first, 0)) for _ in range(2)]
    other = mig_device(compute(nvml.create(gpu, "3g.40gb", 4), 2))
    nvml.node.hold(pynvml.nvmlDeviceGetUUID(devices[1]), 1000)
    used = [pynvml.nvmlDeviceGetMemoryInfo(device).used >> 20 for device in (*devices, other)]
    assert used[0] == used[1] >= 1000 and used[2] == 0
    assert [len(pynvml.nvmlDeviceGetComputeRunningProcesses(device)) for device in (*devices, other)] == [0, 1, 0]


def test_a_card_in_mig_mode_reaches_no_other(sim: Callable[..., Any]) -> None:
    nvml = sim("2xH200")
    first, second = nvml.gpu(0), nvml.gpu(1)

    def read() -> int:
        return int(pynvml.nvmlDeviceGetP2PStatus(first, second, pynvml.NVML_P2P_CAPS_INDEX_NVLINK))

    assert read() == pynvml.NVML_P2P_STATUS_OK
    pynvml.nvmlDeviceSetMigMode(second, 1)
    assert read() == pynvml.NVML_P2P_STATUS_NOT_SUPPORTED
    pynvml.nvmlDeviceSetMigMode(second, 0)
    assert read() == pynvml.NVML_P2P_STATUS_OK


def test_as_many_of_a_profile_as_it_allows(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    nvml.create(gpu, "1g.10gb+me", 0)
    for start in (None, 3):  # there is room, but no second set of engines
        with pytest.raises(pynvml.NVMLError_InsufficientResources):
            nvml.create(gpu, "1g.10gb+me", start)
    for _ in range(6):
        nvml.create(gpu, "1g.10gb")
    with pytest.raises(pynvml.NVMLError_InsufficientResources):
        nvml.create(gpu, "1g.10gb")  # the eighth memory slice has no compute slice


@pytest.mark.parametrize("word", [0, 0x01000024, 0x02000087, 0x0300008D, 0x04000088])
def test_an_unknown_version_of_a_parts_profile(sim: Callable[..., Any], loaded: Any, word: int) -> None:
    nvml = sim("1xA100-80GB")
    gi = nvml.create(nvml.cut(), "3g.40gb")
    words = (ctypes.c_uint * 36)(word, *[7] * 35)
    assert loaded.nvmlGpuInstanceGetComputeInstanceProfileInfoV(gi, 0, 0, words) == INVALID
    assert list(words) == [word, *[7] * 35]
