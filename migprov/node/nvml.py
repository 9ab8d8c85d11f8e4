"""The one file that talks to NVML. Every call returns plain data or raises a typed error.

GPUs are addressed by index or UUID and instances by id: handles die on destroy and reset, so none leaves this file.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from . import errors
from .errors import INVALID_ARGUMENT, NOT_FOUND, NOT_SUPPORTED
from .nvml_data import Ci, Client, Gi, GiProfile, Identity, MigDevice, text


def _find_library(name: str) -> Any:
    from ctypes.util import find_library

    return find_library(name)


# pynvml takes this one function from ctypes.util, which takes as long to import as pynvml, and never calls it on Linux.
_stand_in: Any = ModuleType("ctypes.util")
_stand_in.find_library = _find_library
sys.modules.setdefault("ctypes.util", _stand_in)
try:
    import pynvml
finally:
    if sys.modules["ctypes.util"] is _stand_in:
        del sys.modules["ctypes.util"]

_GI_ENUMS = range(0x12)
_CI_ENUMS = range(9)


class Nvml:
    """An NVML session; a context manager. Raises NoDriver, DriverNotLoaded, DriverMismatch, NvmlError on entry."""

    def __init__(self) -> None:
        # handles of GPUs by UUID: asking NVML for one by UUID can take seconds on some machines
        self._devices: Dict[str, Any] = {}
        self._ci_profiles: Dict[Tuple[str, Optional[int]], List[Any]] = {}

    def __enter__(self) -> Nvml:
        _call("nvmlInit_v2", pynvml.nvmlInit)
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(pynvml.NVMLError):  # a session that was lost on the way needs no end
            pynvml.nvmlShutdown()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let go of the driver for a while: a GPU with an NVML client, this one included, cannot be reset."""
        self.__exit__()
        self._devices.clear()
        self._ci_profiles.clear()
        try:
            yield
        finally:
            _call("nvmlInit_v2", pynvml.nvmlInit)

    # -- the node ------------------------------------------------------------------------------------------------

    def driver_version(self) -> str:
        return text(_call("nvmlSystemGetDriverVersion", pynvml.nvmlSystemGetDriverVersion))

    def nvml_version(self) -> str:
        return text(_call("nvmlSystemGetNVMLVersion", pynvml.nvmlSystemGetNVMLVersion))

    def count(self) -> int:
        return int(_call("nvmlDeviceGetCount_v2", pynvml.nvmlDeviceGetCount))

    # -- a GPU ---------------------------------------------------------------------------------------------------

    def identity(self, index: int) -> Identity:
        device = _call("nvmlDeviceGetHandleByIndex_v2", pynvml.nvmlDeviceGetHandleByIndex, index)
        pci = _call("nvmlDeviceGetPciInfo_v3", pynvml.nvmlDeviceGetPciInfo, device)
        uuid = text(_call("nvmlDeviceGetUUID", pynvml.nvmlDeviceGetUUID, device))
        self._devices[uuid] = device
        return Identity(
            index=index,
            uuid=uuid,
            pci_bus_id=text(pci.busId),
            minor=_or_none(lambda: int(_call("nvmlDeviceGetMinorNumber", pynvml.nvmlDeviceGetMinorNumber, device))),
            name=text(_call("nvmlDeviceGetName", pynvml.nvmlDeviceGetName, device)),
            device_id="0x%08X" % pci.pciDeviceId,
        )

    def _device(self, uuid: str) -> Any:
        if uuid not in self._devices:
            name = "nvmlDeviceGetHandleByUUID"
            self._devices[uuid] = _call(name, pynvml.nvmlDeviceGetHandleByUUID, uuid.encode())
        return self._devices[uuid]

    def _gi_handle(self, uuid: str, gi_id: int) -> Any:
        name = "nvmlDeviceGetGpuInstanceById"
        return _call(name, pynvml.nvmlDeviceGetGpuInstanceById, self._device(uuid), gi_id)

    def memory_mib(self, uuid: str) -> Tuple[int, int]:
        """Total and used memory in MiB. Where the driver keeps some for itself, that is not counted as used.

        A MiB in use in part counts whole, as in nvidia-smi (seen with driver 580.159.04).
        """
        return _memory_mib(self._device(uuid))

    def instances_memory_mib(self, uuid: str) -> Dict[int, Tuple[int, int]]:
        """Total and used memory in MiB by GPU instance; one without a compute instance has no device that tells."""
        handles = {_mig_place(handle)[0]: handle for handle in _mig_handles(self._device(uuid))}
        return {gi_id: _memory_mib(handle) for gi_id, handle in handles.items()}

    def busy_percent(self, uuid: str) -> Optional[int]:
        """Share of the driver's last sample period in which a kernel ran; None where it does not tell, as with MIG."""
        rates = _supported("nvmlDeviceGetUtilizationRates", pynvml.nvmlDeviceGetUtilizationRates, self._device(uuid))
        return None if rates is None else int(rates.gpu)

    def mig_mode(self, uuid: str) -> Optional[Tuple[bool, bool]]:
        """(current, pending), or None for a GPU without MIG."""
        try:
            current, pending = _call("nvmlDeviceGetMigMode", pynvml.nvmlDeviceGetMigMode, self._device(uuid))
        except errors.NvmlError as error:
            if error.value == NOT_SUPPORTED:
                return None
            raise
        return bool(current), bool(pending)

    def remapping_pending(self, uuid: str) -> bool:
        """Whether rows of memory wait for a reset to be remapped; False where the GPU does not remap rows."""
        rows = _supported("nvmlDeviceGetRemappedRows", pynvml.nvmlDeviceGetRemappedRows, self._device(uuid))
        return bool(rows is not None and rows[2])

    def set_mig_mode(self, uuid: str, enabled: bool) -> int:
        """Ask for the mode; the answer is the activation status (0, or why it is not in effect)."""
        return int(_call("nvmlDeviceSetMigMode", pynvml.nvmlDeviceSetMigMode, self._device(uuid), int(enabled)))

    def profiles(self, uuid: str, placements: bool = True) -> List[GiProfile]:
        """The GPU instance profiles of this GPU; empty where the driver does not tell them.

        Without ``placements`` no place is asked for, and none is told: enough to read what there is.
        """
        device = self._device(uuid)
        found = []
        for enum in _GI_ENUMS:
            info = _supported("nvmlDeviceGetGpuInstanceProfileInfoV", _gi_profile, device, enum)
            if info is not None:
                starts, size = self._placements(device, info.id) if placements else ((), 0)
                found.append(GiProfile.of(info, starts, size))
        return found

    def _placements(self, device: Any, profile_id: int) -> Tuple[Tuple[int, ...], int]:
        name = "nvmlDeviceGetGpuInstancePossiblePlacements_v2"
        count = ctypes.c_uint(0)
        _call(name, pynvml.nvmlDeviceGetGpuInstancePossiblePlacements, device, profile_id, None, ctypes.byref(count))
        array = (pynvml.c_nvmlGpuInstancePlacement_t * max(count.value, 1))()
        _call(name, pynvml.nvmlDeviceGetGpuInstancePossiblePlacements, device, profile_id, array, ctypes.byref(count))
        spots = [(int(array[i].start), int(array[i].size)) for i in range(count.value)]
        return tuple(sorted(start for start, _ in spots)), spots[0][1] if spots else 0

    # -- GPU instances -------------------------------------------------------------------------------------------

    def gpu_instances(self, uuid: str, profiles: List[Tuple[int, int]]) -> List[Gi]:
        """The GPU instances of the given (profile id, instance count) pairs, by id."""
        device = self._device(uuid)
        found = []
        for profile_id, most in profiles:
            count = ctypes.c_uint(0)
            array = (pynvml.c_nvmlGpuInstance_t * max(most, 8))()
            _call(
                "nvmlDeviceGetGpuInstances",
                pynvml.nvmlDeviceGetGpuInstances,
                device,
                profile_id,
                array,
                ctypes.byref(count),
            )
            found += [_gi(array[i]) for i in range(count.value)]
        return sorted(found)

    def create_gpu_instance(self, uuid: str, profile_id: int, start: int, size: int) -> Gi:
        placement = pynvml.c_nvmlGpuInstancePlacement_t(start, size)
        return _gi(
            _call(
                "nvmlDeviceCreateGpuInstanceWithPlacement",
                pynvml.nvmlDeviceCreateGpuInstanceWithPlacement,
                self._device(uuid),
                profile_id,
                ctypes.byref(placement),
            )
        )

    def destroy_gpu_instance(self, uuid: str, gi_id: int) -> None:
        _call("nvmlGpuInstanceDestroy", pynvml.nvmlGpuInstanceDestroy, self._gi_handle(uuid, gi_id))

    # -- compute instances ---------------------------------------------------------------------------------------

    def compute_instances(self, uuid: str, gi_id: int, profile_id: Optional[int] = None) -> List[Ci]:
        """The compute instances of a GPU instance, by id.

        GPU instances of one profile on one GPU have the same compute profiles: where the profile is given, those are
        asked for once.
        """
        handle = self._gi_handle(uuid, gi_id)
        key = (uuid, profile_id)
        profiles = self._ci_profiles.get(key) if profile_id is not None else None
        if profiles is None:
            profiles = self._ci_profiles[key] = list(_ci_profiles(handle))
        found = []
        for info in profiles:
            count = ctypes.c_uint(0)
            array = (pynvml.c_nvmlComputeInstance_t * max(int(info.instanceCount), 8))()
            _call(
                "nvmlGpuInstanceGetComputeInstances",
                pynvml.nvmlGpuInstanceGetComputeInstances,
                handle,
                info.id,
                array,
                ctypes.byref(count),
            )
            found += [_ci(array[i], int(info.sliceCount)) for i in range(count.value)]
        return sorted(found)

    def create_compute_instance(self, uuid: str, gi_id: int, slices: int, start: Optional[int]) -> Ci:
        """Create a compute instance of that many compute slices; ``start`` None lets the driver choose."""
        handle = self._gi_handle(uuid, gi_id)
        info = next((info for info in _ci_profiles(handle) if info.sliceCount == slices), None)
        if info is None:
            raise errors.NvmlError("nvmlGpuInstanceGetComputeInstanceProfileInfoV", NOT_SUPPORTED, "Not Supported")
        if start is None:
            name = "nvmlGpuInstanceCreateComputeInstance"
            return _ci(_call(name, pynvml.nvmlGpuInstanceCreateComputeInstance, handle, info.id), slices)
        placement = pynvml.c_nvmlComputeInstancePlacement_t(start, slices)
        return _ci(
            _call(
                "nvmlGpuInstanceCreateComputeInstanceWithPlacement",
                pynvml.nvmlGpuInstanceCreateComputeInstanceWithPlacement,
                handle,
                info.id,
                ctypes.byref(placement),
            ),
            slices,
        )

    def destroy_compute_instance(self, uuid: str, gi_id: int, ci_id: int) -> None:
        name = "nvmlGpuInstanceGetComputeInstanceById"
        handle = _call(name, pynvml.nvmlGpuInstanceGetComputeInstanceById, self._gi_handle(uuid, gi_id), ci_id)
        _call("nvmlComputeInstanceDestroy", pynvml.nvmlComputeInstanceDestroy, handle)

    # -- MIG devices and processes -------------------------------------------------------------------------------

    def mig_devices(self, uuid: str) -> List[MigDevice]:
        """The MIG devices of a GPU whose UUID resolves again to the same device, as a program would find them."""
        found = []
        for handle in _mig_handles(self._device(uuid)):
            name = text(_call("nvmlDeviceGetUUID", pynvml.nvmlDeviceGetUUID, handle))
            place = _mig_place(handle)
            again = _call("nvmlDeviceGetHandleByUUID", pynvml.nvmlDeviceGetHandleByUUID, name.encode())
            if _mig_place(again) == place:
                found.append(MigDevice(place[0], place[1], name))
        return found

    def clients(self, uuid: str) -> List[Client]:
        """The processes that NVML lists on a GPU and its MIG devices."""
        device = self._device(uuid)
        try:
            return _clients(device)
        except errors.NoPermission:
            return [client for handle in _mig_handles(self._device(uuid)) for client in _clients(handle)]


def _memory_mib(device: Any) -> Tuple[int, int]:
    try:
        info = _call("nvmlDeviceGetMemoryInfo_v2", _memory_v2, device)
    except errors.NvmlError as error:
        # Older drivers have the other one only, which counts what the driver keeps for itself as used, too.
        if error.value not in (NOT_SUPPORTED, INVALID_ARGUMENT, errors.VERSION_MISMATCH):
            raise
        info = _call("nvmlDeviceGetMemoryInfo", pynvml.nvmlDeviceGetMemoryInfo, device)
    return int(info.total) >> 20, -(-int(info.used) >> 20)


def _memory_v2(device: Any) -> Any:
    return pynvml.nvmlDeviceGetMemoryInfo(device, version=pynvml.nvmlMemory_v2)


def _gi_profile(device: Any, enum: int) -> Any:
    return pynvml.nvmlDeviceGetGpuInstanceProfileInfo(device, enum)


def _ci_profile(handle: Any, enum: int) -> Any:
    return pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(handle, enum, 0)


def _ci_profiles(handle: Any) -> Iterator[Any]:
    for enum in _CI_ENUMS:
        info = _supported("nvmlGpuInstanceGetComputeInstanceProfileInfoV", _ci_profile, handle, enum)
        if info is not None:
            yield info


def _supported(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """The answer, or None where the driver says that there is no such thing on this GPU."""
    try:
        return _call(name, function, *args)
    except errors.NvmlError as error:
        if error.value in (NOT_SUPPORTED, INVALID_ARGUMENT):
            return None
        raise


def _gi(handle: Any) -> Gi:
    return Gi.of(_call("nvmlGpuInstanceGetInfo", pynvml.nvmlGpuInstanceGetInfo, handle))


def _ci(handle: Any, slices: int) -> Ci:
    return Ci.of(_call("nvmlComputeInstanceGetInfo_v2", pynvml.nvmlComputeInstanceGetInfo_v2, handle), slices)


def _mig_handles(device: Any) -> Iterator[Any]:
    for index in range(_call("nvmlDeviceGetMaxMigDeviceCount", pynvml.nvmlDeviceGetMaxMigDeviceCount, device)):
        try:
            name = "nvmlDeviceGetMigDeviceHandleByIndex"
            handle = _call(name, pynvml.nvmlDeviceGetMigDeviceHandleByIndex, device, index)
        except errors.NvmlError as error:
            if error.value != NOT_FOUND:
                raise
            continue  # indices have holes
        yield handle


def _mig_place(handle: Any) -> Tuple[int, int]:
    return (
        int(_call("nvmlDeviceGetGpuInstanceId", pynvml.nvmlDeviceGetGpuInstanceId, handle)),
        int(_call("nvmlDeviceGetComputeInstanceId", pynvml.nvmlDeviceGetComputeInstanceId, handle)),
    )


def _clients(handle: Any) -> List[Client]:
    found = []
    for kind, function in (
        ("compute", pynvml.nvmlDeviceGetComputeRunningProcesses),
        ("graphics", pynvml.nvmlDeviceGetGraphicsRunningProcesses),
        ("mps", pynvml.nvmlDeviceGetMPSComputeRunningProcesses),
    ):
        found += [Client.of(process, kind) for process in _supported(function.__name__, function, handle) or []]
    return found


def _or_none(function: Callable[[], int]) -> Optional[int]:
    try:
        return function()
    except errors.NvmlError:
        return None


def _call(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call NVML and turn its error into ours. A function that an old library lacks counts as not supported."""
    try:
        return function(*args)
    except pynvml.NVMLError as error:
        raise errors.of_nvml(name, int(error.value), str(error)) from None
