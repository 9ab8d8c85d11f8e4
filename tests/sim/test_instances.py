"""GPU and compute instances: ids, places, the driver's own choice, errors, UUIDs, attributes."""

from __future__ import annotations

import contextlib
import ctypes
import uuid
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

NAMESPACE = "c816c9a3522456bf9d9aac7ea703fb5b"


def info(instance: Any) -> tuple[int, int]:
    found = pynvml.nvmlGpuInstanceGetInfo(instance)
    return found.id, found.placement.start


def compute(instance: Any, profile_id: int, start: int | None = None, size: int = 1) -> Any:
    if start is None:
        return pynvml.nvmlGpuInstanceCreateComputeInstance(instance, profile_id)
    place = pynvml.c_nvmlComputeInstancePlacement_t(start, size)
    return pynvml.nvmlGpuInstanceCreateComputeInstanceWithPlacement(instance, profile_id, ctypes.byref(place))


def mig_device(ci: Any) -> Any:
    """The MIG device of a compute instance, whose own information names only the GPU."""
    found = pynvml.nvmlComputeInstanceGetInfo_v2(ci)
    wanted = (info(found.gpuInstance)[0], found.id)
    for index in range(7):
        with contextlib.suppress(pynvml.NVMLError_NotFound):
            device = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(found.device, index)
            ids = pynvml.nvmlDeviceGetGpuInstanceId(device), pynvml.nvmlDeviceGetComputeInstanceId(device)
            if ids == wanted:
                return device
    raise AssertionError(f"no MIG device {wanted}")


def mig_uuid(ci: Any) -> str:
    return str(pynvml.nvmlDeviceGetUUID(mig_device(ci)))


# What real boards were seen to do: (board numbers places rotated, profiles in order, their GPU instance ids).
OBSERVED = [
    (False, ["3g.40gb"] * 2, [2, 1]),
    (False, ["1g.10gb"] * 7, [13, 11, 12, 7, 8, 9, 10]),
    (True, ["1g.10gb"] * 7, [9, 7, 8, 11, 12, 13, 14]),
    (True, ["2g.20gb", "2g.20gb", "1g.10gb"], [3, 5, 9]),
    (True, ["3g.40gb", "1g.10gb", "1g.10gb", "1g.10gb"], [1, 11, 12, 13]),
]


@pytest.mark.parametrize(("rotated", "profiles", "ids"), OBSERVED)
def test_where_the_driver_puts_them(
    sim: Callable[..., Any], rotated: bool, profiles: list[str], ids: list[int]
) -> None:
    nvml = sim("1xA100-80GB", rotated=rotated)
    gpu = nvml.cut()
    assert [info(nvml.create(gpu, profile))[0] for profile in profiles] == ids


def test_small_ones_first_leave_no_room_for_a_big_one(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-40GB", rotated=False)
    gpu = nvml.cut()
    assert [info(nvml.create(gpu, name))[0] for name in ("1g.5gb", "1g.5gb", "2g.10gb")] == [13, 11, 3]
    with pytest.raises(pynvml.NVMLError_InsufficientResources):
        nvml.create(gpu, "3g.20gb")


# (rotated, profile, start, id): recorded pairs of both kinds of board.
PAIRS = [
    (False, "1g.10gb", 6, 13),
    (False, "2g.20gb", 4, 5),
    (False, "3g.40gb", 0, 1),
    (False, "3g.40gb", 4, 2),
    (True, "3g.40gb", 4, 1),
    (True, "4g.40gb", 0, 2),
    (True, "2g.20gb", 4, 3),
    (True, "1g.10gb", 6, 9),
    (True, "7g.80gb", 0, 0),
]


@pytest.mark.parametrize(("rotated", "profile", "start", "gi_id"), PAIRS)
def test_ids_follow_the_place(sim: Callable[..., Any], rotated: bool, profile: str, start: int, gi_id: int) -> None:
    nvml = sim("1xA100-80GB", rotated=rotated)
    assert info(nvml.create(nvml.cut(), profile, start)) == (gi_id, start)


def test_rtx_ids(sim: Callable[..., Any]) -> None:
    nvml = sim("1xRTX-PRO-6000")
    gpu = nvml.cut()
    assert [info(nvml.create(gpu, "1g.24gb")) for _ in range(4)] == [(3, 0), (4, 3), (5, 6), (6, 9)]


def test_refusals(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.gpu()
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceCreateGpuInstance(gpu, 9)  # MIG is off
    gpu = nvml.cut()
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceCreateGpuInstance(gpu, 18)  # no profile of this card
    nvml.create(gpu, "3g.40gb", 0)
    for start in (1, 3, 7):
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            nvml.create(gpu, "3g.40gb", start)
    for profile in ("3g.40gb", "4g.40gb", "1g.20gb"):
        with pytest.raises(pynvml.NVMLError_InsufficientResources):
            nvml.create(gpu, profile, 0)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        wrong = pynvml.c_nvmlGpuInstancePlacement_t(4, 3)
        pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, 9, ctypes.byref(wrong))


def test_capacity(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()

    def left() -> dict[str, int]:
        return {
            name: pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, profile.id)
            for name, profile in nvml.profiles(gpu).items()
        }

    assert left() == {name: profile.instanceCount for name, profile in nvml.profiles(gpu).items()}
    nvml.create(gpu, "2g.20gb", 4)
    assert left() == {
        "1g.10gb": 5, "1g.10gb+me": 1, "1g.20gb": 3, "2g.20gb": 2, "3g.40gb": 1, "4g.40gb": 1, "7g.80gb": 0,
    }  # fmt: skip


def test_handles_die_with_what_they_name(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    instance = nvml.create(gpu, "3g.40gb", 0)
    ci = compute(instance, 2)
    device = mig_device(ci)
    pynvml.nvmlComputeInstanceDestroy(ci)
    pynvml.nvmlGpuInstanceDestroy(instance)
    again = nvml.create(gpu, "3g.40gb", 0)
    assert info(again)[0] == 2
    for call, handle in (
        (pynvml.nvmlGpuInstanceGetInfo, instance),
        (pynvml.nvmlComputeInstanceGetInfo_v2, ci),
        (pynvml.nvmlDeviceGetUUID, device),
    ):
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            call(handle)


def test_a_parent_is_no_mig_device(sim: Callable[..., Any]) -> None:
    gpu = sim("1xA100-80GB").cut()
    for call in (
        pynvml.nvmlDeviceGetGpuInstanceId,
        pynvml.nvmlDeviceGetComputeInstanceId,
        pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle,
    ):
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            call(gpu)
    assert not pynvml.nvmlDeviceIsMigDeviceHandle(gpu).value


def test_sub_slicing(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    instance = nvml.create(nvml.cut(), "3g.40gb")
    names = {}
    for number in range(9):
        try:
            row = pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, number, 0)
        except pynvml.NVMLError_NotSupported:
            continue
        names[row.name] = (row.id, row.multiprocessorCount, row.instanceCount)
    assert names == {"MIG 1c.3g.40gb": (0, 14, 3), "MIG 2c.3g.40gb": (1, 28, 1), "MIG 3g.40gb": (2, 42, 1)}
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, 9, 0)
    made = [compute(instance, 0) for _ in range(3)]
    rows = [pynvml.nvmlComputeInstanceGetInfo_v2(ci) for ci in made]
    assert [(row.id, row.placement.start, row.placement.size) for row in rows] == [(0, 0, 1), (1, 1, 1), (2, 2, 1)]
    with pytest.raises(pynvml.NVMLError_InsufficientResources):
        compute(instance, 0)
    pynvml.nvmlComputeInstanceDestroy(made[1])
    assert pynvml.nvmlGpuInstanceGetComputeInstanceRemainingCapacity(instance, 0) == 1
    with pytest.raises(pynvml.NVMLError_InsufficientResources):
        compute(instance, 1)  # one slice is free, two are needed
    again = pynvml.nvmlComputeInstanceGetInfo_v2(compute(instance, 0))
    assert (again.id, again.placement.start) == (1, 1)


def test_the_id_is_the_lowest_free_one_and_not_the_place(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    instance = nvml.create(nvml.cut(), "4g.40gb")
    found = pynvml.nvmlComputeInstanceGetInfo_v2(compute(instance, 0, start=3))
    assert (found.id, found.placement.start) == (0, 3)
    with pytest.raises(pynvml.NVMLError_InsufficientResources):
        compute(instance, 0, start=3)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        compute(instance, 1, start=1, size=2)


def test_derived_compute_instances_of_newer_cards(sim: Callable[..., Any]) -> None:
    nvml = sim("1xH200")
    instance = nvml.create(nvml.cut(), "3g.71gb")
    sms = [pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, n, 0).multiprocessorCount for n in (0, 1, 2)]
    assert sms == [16, 32, 60]


def test_destroying_what_is_not_empty(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    instance = nvml.create(gpu, "3g.40gb")
    ci = compute(instance, 2)
    with pytest.raises(pynvml.NVMLError_InUse):
        pynvml.nvmlGpuInstanceDestroy(instance)
    holder = nvml.node.hold(mig_uuid(ci), 100)
    with pytest.raises(pynvml.NVMLError_InUse):
        pynvml.nvmlComputeInstanceDestroy(ci)
    nvml.node.release(holder)
    pynvml.nvmlComputeInstanceDestroy(ci)
    pynvml.nvmlGpuInstanceDestroy(instance)
    assert nvml.instances(gpu, 9) == []


def test_uuids_are_of_the_place(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()

    def made(profile: str, start: int, ci_profile: int) -> str:
        instance = nvml.create(gpu, profile, start)
        ci = compute(instance, ci_profile)
        found = mig_uuid(ci)
        pynvml.nvmlComputeInstanceDestroy(ci)
        pynvml.nvmlGpuInstanceDestroy(instance)
        return found

    first = made("2g.20gb", 4, 1)
    assert uuid.UUID(first.removeprefix("MIG-")).version == 5
    assert made("2g.20gb", 4, 1) == first
    assert made("1g.20gb", 4, 0) == first  # the size is not in it
    assert made("2g.20gb", 0, 1) != first
    nvml.node.reboot()
    assert made("2g.20gb", 4, 1) == first


def test_uuid_is_the_documented_hash(sim: Callable[..., Any]) -> None:
    from migprov.sim import state

    nvml = sim("1xA100-80GB", rotated=False)
    ci = compute(nvml.create(nvml.cut(), "3g.40gb", 4), 2)
    pdi = state.read(nvml.node.directory / "state").gpus[0].pdi
    content = (
        b"NVIDIA GPU"
        + b"\x02" + (0x170).to_bytes(2, "little")
        + b"\x08" + int(pdi).to_bytes(8, "little")
        + b"\x0bSMC" + (2).to_bytes(4, "little") + (4).to_bytes(4, "little")
    )  # fmt: skip
    # uuid5 takes text: these bytes, one character each, would be encoded; so by hand.
    import hashlib

    digest = hashlib.sha1(uuid.UUID(NAMESPACE).bytes + content, usedforsecurity=False).digest()
    assert mig_uuid(ci) == f"MIG-{uuid.UUID(bytes=digest[:16], version=5)}"


def test_old_drivers_name_mig_devices_by_number(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB", driver_version="460.73.01", rotated=True)
    gpu = nvml.cut()
    ci = compute(nvml.create(gpu, "3g.40gb"), 2)
    assert mig_uuid(ci) == f"MIG-{pynvml.nvmlDeviceGetUUID(gpu)}/1/0"
    assert pynvml.nvmlDeviceGetGpuInstanceId(pynvml.nvmlDeviceGetHandleByUUID(mig_uuid(ci))) == 1


def test_mig_devices(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    for profile, ci_profile in (("1g.10gb", 0), ("3g.40gb", 2), ("2g.20gb", 1)):
        compute(nvml.create(gpu, profile, {"1g.10gb": 6, "3g.40gb": 0, "2g.20gb": 4}[profile]), ci_profile)
    devices = nvml.mig_devices(gpu)
    ids = [pynvml.nvmlDeviceGetGpuInstanceId(device) for device in devices]
    assert ids == sorted(ids) and len(ids) == 3
    attributes = pynvml.nvmlDeviceGetAttributes_v2(devices[0])
    assert (attributes.multiprocessorCount, attributes.gpuInstanceSliceCount, attributes.memorySizeMB) == (42, 3, 40192)
    assert pynvml.nvmlDeviceGetMemoryInfo(devices[0]).total == 40192 << 20
    assert pynvml.nvmlDeviceGetName(devices[0]) == "NVIDIA A100-SXM4-80GB MIG 3g.40gb"
    parent = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(devices[0])
    assert pynvml.nvmlDeviceGetUUID(parent) == pynvml.nvmlDeviceGetUUID(gpu)
    assert [pynvml.nvmlDeviceGetIndex(device) for device in devices] == [0, 1, 2]


def test_a_part_of_an_instance_says_so_in_its_name(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA100-80GB")
    gpu = nvml.cut()
    compute(nvml.create(gpu, "3g.40gb", 0), 0)
    (device,) = nvml.mig_devices(gpu)
    assert pynvml.nvmlDeviceGetName(device) == "NVIDIA A100-SXM4-80GB MIG 1c.3g.40gb"


@pytest.mark.parametrize(("profile", "of_gi", "of_ci"), [("2g.48gb+gfx", 2, 1), ("2g.48gb", 0, 0)])
def test_graphics_is_one_bit_of_the_instance_and_another_of_its_part(
    sim: Callable[..., Any], loaded: Any, profile: str, of_gi: int, of_ci: int
) -> None:
    nvml = sim("1xRTX-PRO-6000")
    gpu = nvml.cut()
    number = next(n for n in range(17) if name_of(gpu, n) == profile)
    words = (ctypes.c_uint * 38)(0x03000098)
    assert loaded.nvmlDeviceGetGpuInstanceProfileInfoV(gpu, number, words) == 0
    assert words[36] == of_gi
    instance = nvml.create(gpu, profile)
    parts = (ctypes.c_uint * 36)(0x0300008C, *[7] * 35)
    assert loaded.nvmlGpuInstanceGetComputeInstanceProfileInfoV(instance, 1, 0, parts) == 0
    assert bytes(parts)[40:136].rstrip(b"\0") == f"MIG {profile}".encode()
    assert list(parts[34:]) == [of_ci, 7]  # and nothing behind the structure


def name_of(gpu: Any, number: int) -> str | None:
    with contextlib.suppress(pynvml.NVMLError_NotSupported):
        return str(pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number).name).removeprefix("MIG ")
    return None


def test_version_words(sim: Callable[..., Any], loaded: Any) -> None:
    nvml = sim("1xA100-80GB")
    words = (ctypes.c_uint * 38)(0x02000097)
    assert loaded.nvmlDeviceGetGpuInstanceProfileInfoV(nvml.gpu(), 0, words) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    words[0] = 0x03000098
    assert loaded.nvmlDeviceGetGpuInstanceProfileInfoV(nvml.gpu(), 2, words) == 0
    assert bytes(words)[48:144] == bytes(96)  # the name stays empty: recorded
    assert words[10] == 40192
