"""What NVML makes of arguments that it should not get: no place for an answer, too little room, an unknown version.

A check is the library's function and its arguments: `GPU` the device, `ROOM` space for an answer, `COUNT` a place for
a number that is given, None no place, a number, or text. Its outcome is NVML's code; with `COUNT` also the number
after.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pynvml

GPU, ROOM, COUNT, GPUS = "<gpu>", "<room>", "<count>", "<gpus>"

_TEXTS = (
    *("nvmlDeviceGetName", "nvmlDeviceGetUUID", "nvmlDeviceGetSerial", "nvmlDeviceGetVbiosVersion"),
    *("nvmlDeviceGetBoardPartNumber", "nvmlDeviceGetInforomImageVersion"),
)
_SYSTEM_TEXTS = ("nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion")
_ONE_ANSWER = (
    *("nvmlDeviceGetIndex", "nvmlDeviceGetMinorNumber", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetArchitecture"),
    *("nvmlDeviceIsMigDeviceHandle", "nvmlDeviceGetPersistenceMode", "nvmlDeviceGetComputeMode"),
    *("nvmlDeviceGetVirtualizationMode", "nvmlDeviceGetNumGpuCores", "nvmlDeviceGetPowerUsage"),
    *("nvmlDeviceGetGpuInstanceId", "nvmlDeviceGetComputeInstanceId", "nvmlDeviceGetDeviceHandleFromMigDeviceHandle"),
    *("nvmlDeviceGetAttributes", "nvmlDeviceGetAttributes_v2", "nvmlDeviceGetMemoryInfo"),
    *("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetPciInfo", "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo_v3"),
    *("nvmlDeviceGetPciInfoExt", "nvmlDeviceGetGspFirmwareVersion", "nvmlDeviceGetMemoryInfo_v2"),
)
_TWO_ANSWERS = ("nvmlDeviceGetMigMode", "nvmlDeviceGetEccMode", "nvmlDeviceGetCudaComputeCapability")
_VERSIONED: dict[str, tuple[int, ...]] = {
    "nvmlDeviceGetMemoryInfo_v2": (),
    "nvmlDeviceGetPciInfoExt": (),
    "nvmlDeviceGetTemperatureV": (),
    "nvmlDeviceGetCapabilities": (),
    "nvmlDeviceGetPdi": (),
    "nvmlDeviceGetGpuInstanceProfileInfoV": (0,),
    "nvmlDeviceGetGpuInstanceProfileInfoByIdV": (19,),
    "nvmlDeviceGetRunningProcessDetailList": (),
}
_PLACEMENTS = "nvmlDeviceGetGpuInstancePossiblePlacements"


@dataclass(frozen=True)
class Check:
    """`given` is in `COUNT` before the call, or the first word of `ROOM` where there is no `COUNT`."""

    symbol: str
    arguments: tuple[Any, ...]
    given: int = 0

    @property
    def label(self) -> str:
        """The call as one would write it."""
        words = {GPU: "gpu", ROOM: "room", COUNT: f"count {self.given}", GPUS: "number of GPUs", None: "NULL"}
        said = [
            words.get(one) or (repr(one.decode()) if isinstance(one, bytes) else str(one)) for one in self.arguments
        ]
        version = f", version {self.given:#x}" if self.given and COUNT not in self.arguments else ""
        return f"{self.symbol}({', '.join(said)}{version})"


def all_checks() -> list[Check]:
    """Every check, with nobody on the GPU or somebody."""
    return [*_of_texts(), *_of_answers(), *_of_versions(), *_of_instances(), *of_lists(), *_of_finding()]


def _of_texts() -> Iterator[Check]:
    for name in _TEXTS:
        yield from (Check(name, (GPU, ROOM, length)) for length in (0, 1, 4))
        yield Check(name, (GPU, None, 96))
        yield Check(name, (None, ROOM, 96))
    for name in _SYSTEM_TEXTS:
        yield from (Check(name, (ROOM, length)) for length in (0, 1, 4))
        yield Check(name, (None, 80))


def _of_answers() -> Iterator[Check]:
    for name in _ONE_ANSWER:
        yield from (Check(name, (GPU, None)), Check(name, (None, ROOM)))
    for name in _TWO_ANSWERS:
        yield from (Check(name, one) for one in ((GPU, None, ROOM), (GPU, ROOM, None), (None, ROOM, ROOM)))


def _of_versions() -> Iterator[Check]:
    for name, arguments in _VERSIONED.items():
        yield from (Check(name, (GPU, *arguments, ROOM), word) for word in (1, 0x09000001, 0x63000028))
        yield Check(name, (GPU, *arguments, ROOM))


def _of_instances() -> Iterator[Check]:
    for number in (0, 5, 16, 17, 99):
        yield Check("nvmlDeviceGetGpuInstanceProfileInfo", (GPU, number, None))
    for name in (_PLACEMENTS, f"{_PLACEMENTS}_v2"):
        yield from (Check(name, (GPU, id, ROOM, COUNT), given) for id in (0, 1, 5, 19, 99) for given in (0, 1, 8))
        yield Check(name, (GPU, 19, ROOM, None))
    yield from (Check("nvmlDeviceGetGpuInstances", (GPU, id, ROOM, COUNT), 77) for id in (0, 1, 19, 99))
    yield Check("nvmlDeviceGetGpuInstances", (GPU, 19, None, COUNT), 77)
    yield Check("nvmlDeviceGetGpuInstances", (GPU, 19, ROOM, None))
    yield Check("nvmlDeviceGetGpuInstanceRemainingCapacity", (GPU, 19, None))
    yield Check("nvmlDeviceGetGpuInstanceById", (GPU, 1, None))
    yield Check("nvmlDeviceGetMigDeviceHandleByIndex", (GPU, 0, None))


def of_lists() -> Iterator[Check]:
    """Lists of processes: no place for the number, no room, room for one."""
    for kind in ("Compute", "Graphics", "MPSCompute"):
        for version in ("", "_v2", "_v3"):
            name = f"nvmlDeviceGet{kind}RunningProcesses{version}"
            yield Check(name, (GPU, None, ROOM))
            yield from (Check(name, (GPU, COUNT, ROOM), given) for given in (0, 1, 8))
            yield Check(name, (GPU, COUNT, None), 4)


def _of_finding() -> Iterator[Check]:
    for name in ("nvmlDeviceGetHandleByIndex", "nvmlDeviceGetHandleByIndex_v2"):
        yield from (Check(name, (index, ROOM)) for index in (GPUS, 99, 0xFFFFFFFF))
    yield Check("nvmlDeviceGetHandleByIndex_v2", (0, None))
    for name in ("nvmlDeviceGetCount_v2", "nvmlSystemGetCudaDriverVersion_v2", "nvmlUnitGetCount"):
        yield Check(name, (None,))
    for name in ("nvmlDeviceGetHandleByUUID", "nvmlDeviceGetHandleBySerial", "nvmlDeviceGetHandleByPciBusId_v2"):
        for text in (b"", b"x", b"GPU-deadbeef-0000-0000-0000-000000000000", b"0000:FE:00.0", b"fe:00.0"):
            yield Check(name, (text, ROOM))
        yield from (Check(name, (None, ROOM)), Check(name, (b"x", None)))


class Space:
    """Room for answers, shared with processes that this one forks."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 1 << 17)
        self.count = ctypes.c_uint.from_buffer(self.memory, 0)
        self.code = ctypes.c_int.from_buffer(self.memory, 8)
        self.room = (ctypes.c_uint * 16384).from_buffer(self.memory, 4096)

    def ask(self, check: Check, gpu: Any) -> int | list[int] | None:
        """The outcome; None where the library has no such function."""
        ctypes.memset(self.room, 0, 1024)
        self.count.value = self.room[0] = check.given
        places = {GPU: gpu, ROOM: self.room, COUNT: ctypes.byref(self.count), GPUS: pynvml.nvmlDeviceGetCount()}
        arguments = [places[one] if isinstance(one, str) else one for one in check.arguments]
        try:
            function = pynvml._nvmlGetFunctionPointer(check.symbol)
        except pynvml.NVMLError:
            return None
        code = int(function(*(ctypes.c_uint(one) if isinstance(one, int) else one for one in arguments)))
        return [code, self.count.value] if COUNT in check.arguments else code

    def ask_apart(self, check: Check) -> int | list[int] | str | None:
        """The same of GPU 0 in a process of its own, since the library may crash. NVML must not be initialised."""
        pid = os.fork()
        if pid == 0:
            pynvml.nvmlInit()
            found = self.ask(check, pynvml.nvmlDeviceGetHandleByIndex(0))
            self.code.value = -1 if found is None else found[0] if isinstance(found, list) else found
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            return f"signal {os.WTERMSIG(status)}"
        if os.waitstatus_to_exitcode(status) != 0:
            return f"exit {os.waitstatus_to_exitcode(status)}"
        if self.code.value == -1:
            return None
        return [self.code.value, self.count.value] if COUNT in check.arguments else self.code.value
