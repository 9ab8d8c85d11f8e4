"""Every function of the library with what it should not get: before its time, no place for an answer, wrong handles."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from migprov.sim import build

UNINITIALIZED, INVALID, NOT_SUPPORTED, NOT_READY = 1, 2, 3, 27
BEGIN_AND_END = {"nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags", "nvmlShutdown"}
CALLS = [name for name in build.call_names() if name not in BEGIN_AND_END]
# Those that begin with a handle; the rest begin with a number, a text or a place, or have no argument.
WITHOUT_HANDLE = ("nvmlDeviceGetHandleBy", "nvmlDeviceGetCount", "nvmlSystem", "nvmlUnit", "nvmlGet", "nvmlEventSetCre")
OF_HANDLES = [name for name in CALLS if not name.startswith(WITHOUT_HANDLE)]
ARGUMENTS = 7  # no function of NVML has more
# Functions that are no use without a whole GPU.
OF_WHOLE_GPUS = [
    *("nvmlDeviceGetMigMode", "nvmlDeviceSetMigMode", "migprovSimResetGpu", "nvmlDeviceGetEccMode"),
    *("nvmlDeviceGetPersistenceMode", "nvmlDeviceSetPersistenceMode", "nvmlDeviceGetRemappedRows"),
    *(name for name in CALLS if name.startswith(("nvmlDeviceGetGpuInstanceP", "nvmlDeviceGetGpuInstanceR"))),
    *(name for name in CALLS if name.startswith(("nvmlDeviceGetGpuInstances", "nvmlDeviceCreateGpuInstance"))),
    *("nvmlDeviceGetGpuInstanceById", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex"),
]


def apart(work: Callable[[], dict[str, int]]) -> dict[str, int]:
    """What `work` answers in a process of its own, which a crash would end."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(write, json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        text = answers.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return dict(json.loads(text))


def ask(library: Any, names: list[str], first: int, rest: int = 0) -> dict[str, int]:
    arguments = [ctypes.c_void_p(first), *[ctypes.c_void_p(rest)] * (ARGUMENTS - 1)]
    return {name: int(getattr(library, name)(*arguments)) for name in names}


class Handles:
    """One handle of each kind, on a node whose GPU 0 is cut."""

    def __init__(self, nvml: Any) -> None:
        gpu = nvml.cut(0)
        gi = nvml.create(gpu, "3g.40gb")
        ci = pynvml.nvmlGpuInstanceCreateComputeInstance(gi, 2)
        [mig] = nvml.mig_devices(gpu)
        found = {"cut GPU": gpu, "GPU": nvml.gpu(1), "MIG device": mig, "GPU instance": gi, "compute instance": ci}
        found["set of events"] = pynvml.nvmlEventSetCreate()
        self.by_kind = {kind: ctypes.cast(handle, ctypes.c_void_p).value or 0 for kind, handle in found.items()}
        self.by_kind |= {"none": 0, "never given out": 2**64 - 1}


def test_before_the_library_is_initialised(loaded: Any) -> None:
    def work() -> dict[str, int]:
        room = ctypes.addressof(ctypes.create_string_buffer(1 << 16))
        return ask(loaded, CALLS, room, room) | {"nvmlShutdown": loaded.nvmlShutdown()}

    assert {name: code for name, code in apart(work).items() if code != UNINITIALIZED} == {}


def test_and_after_its_end(sim: Callable[..., Any], loaded: Any) -> None:
    sim("1xT4")

    def work() -> dict[str, int]:
        assert loaded.nvmlShutdown() == 0
        return ask(loaded, CALLS, 0) | {"nvmlShutdown": loaded.nvmlShutdown()}

    assert {name: code for name, code in apart(work).items() if code != UNINITIALIZED} == {}


@pytest.mark.parametrize(
    "kind",
    ["cut GPU", "GPU", "MIG device", "GPU instance", "compute instance", "set of events", "none", "never given out"],
)
def test_no_place_for_an_answer(sim: Callable[..., Any], loaded: Any, kind: str) -> None:
    """All arguments but the handle are 0 or NULL."""
    nvml = sim("2xA100-80GB")
    handle = Handles(nvml).by_kind[kind]
    meant = {  # what asks for nothing but its handle
        "GPU instance": {"nvmlGpuInstanceDestroy"},
        "compute instance": {"nvmlComputeInstanceDestroy"},
        "set of events": {"nvmlEventSetFree"},
        "cut GPU": {"migprovSimResetGpu", "nvmlDeviceSetPersistenceMode"},
        "GPU": {"migprovSimResetGpu", "nvmlDeviceSetPersistenceMode"},
    }.get(kind, set())
    names = [name for name in (CALLS if kind == "none" else OF_HANDLES) if name not in meant]
    before = nvml.node.show()
    answers = apart(lambda: ask(loaded, names, handle))
    refused = {"nvmlDeviceGetLastBBXFlushTime": NOT_READY} if kind in ("cut GPU", "GPU", "MIG device") else {}
    odd = {name: code for name, code in answers.items() if code not in (INVALID, NOT_SUPPORTED)}
    assert odd == refused
    assert {**nvml.node.show(), "write_count": 0} == {**before, "write_count": 0}


@pytest.mark.parametrize("kind", ["GPU instance", "compute instance", "set of events", "none", "never given out"])
def test_what_is_no_device(sim: Callable[..., Any], loaded: Any, kind: str) -> None:
    handle = Handles(sim("2xA100-80GB")).by_kind[kind]
    # NVML's functions of PCI devices, which are not simulated, have no handle.
    others = ("nvmlDeviceDiscoverGpus", "nvmlDeviceModifyDrain", "nvmlDeviceQueryDrain", "nvmlDeviceRemoveGpu")
    of_devices = [name for name in OF_HANDLES if name.startswith("nvmlDevice") and not name.startswith(others)]
    answers = apart(lambda: ask(loaded, of_devices, handle))
    assert len(answers) > 200
    assert {name: code for name, code in answers.items() if code != INVALID} == {}


def test_a_mig_device_is_no_gpu(sim: Callable[..., Any], loaded: Any) -> None:
    handle = Handles(sim("2xA100-80GB")).by_kind["MIG device"]
    room = ctypes.create_string_buffer(1 << 12)
    answers = ask(loaded, OF_WHOLE_GPUS, handle, ctypes.addressof(room))
    assert len(answers) > 15
    assert {name: code for name, code in answers.items() if code != INVALID} == {}
    assert not any(room.raw)


@pytest.mark.parametrize(
    ("prefix", "own"), [("nvmlGpuInstanceGet", "GPU instance"), ("nvmlComputeInstance", "compute instance")]
)
def test_instances_of_another_kind(sim: Callable[..., Any], loaded: Any, prefix: str, own: str) -> None:
    handles = Handles(sim("2xA100-80GB")).by_kind
    names = [name for name in CALLS if name.startswith(prefix) and "Vgpu" not in name]
    assert len(names) > 2
    for kind in handles.keys() - {own}:
        answers = ask(loaded, names, handles[kind])
        assert {name: code for name, code in answers.items() if code != INVALID} == {}, kind


UUID_TEXT, UUID_BYTES = 1, 2


@pytest.mark.parametrize("bus_id", ["00000000:07:00.0", "0000:07:00.0", "0:7:0", "07:00.0", "07:00", "7:0.0"])
def test_bus_ids(sim: Callable[..., Any], bus_id: str) -> None:
    assert pynvml.nvmlDeviceGetIndex(sim("2xT4") and pynvml.nvmlDeviceGetHandleByPciBusId(bus_id.encode())) == 0


@pytest.mark.parametrize(
    "text", ["07", "07:00.1", "07:00:garbage", "00000000:07:00.0x", "07:00.0 ", "07:00.", "0:7:0:0", "gpu"]
)
def test_no_bus_ids(sim: Callable[..., Any], text: str) -> None:
    sim("2xT4")
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetHandleByPciBusId(text.encode())


def test_uuids_as_text_and_as_bytes(sim: Callable[..., Any], loaded: Any) -> None:
    text = pynvml.nvmlDeviceGetUUID(sim("2xT4").gpu(1))
    device = ctypes.c_void_p()

    def find(kind: int, value: bytes, version: int = 0x01000034) -> int:
        given = ctypes.create_string_buffer(52)
        given.raw = version.to_bytes(4, "little") + kind.to_bytes(4, "little") + value[:44].ljust(44, b"\0")
        return int(loaded.nvmlDeviceGetHandleByUUIDV(given, ctypes.byref(device)))

    for kind, value in ((UUID_TEXT, text.encode()), (UUID_BYTES, bytes.fromhex(text[4:].replace("-", "")))):
        device.value = None
        assert find(kind, value) == 0
        assert pynvml.nvmlDeviceGetIndex(device) == 1
        assert find(kind, value, version=0x02000034) == pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH
    assert find(UUID_TEXT, b"x" * 44) == pynvml.NVML_ERROR_NOT_FOUND  # it need not end
    assert find(3, text.encode()) == INVALID


def test_sets_of_events_end_with_the_library(sim: Callable[..., Any], loaded: Any) -> None:
    sim("1xT4")
    while loaded.nvmlShutdown() == 0:
        pass
    kept = ctypes.c_void_p()
    for _ in range(65):  # there is room for 64
        assert loaded.nvmlInit_v2() == 0
        assert loaded.nvmlEventSetCreate(ctypes.byref(kept)) == 0
        assert loaded.nvmlShutdown() == 0
    assert loaded.nvmlInit_v2() == 0
    assert loaded.nvmlEventSetFree(kept) == INVALID
