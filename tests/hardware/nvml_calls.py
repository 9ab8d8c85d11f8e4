"""Every call of NVML that only reads, by a label: `nvmlDeviceGetClockInfo(2)` is nvidia-ml-py's function of that name
with the device and then 2. What recordings hold, and what replays of them call."""

from __future__ import annotations

import ast
import contextlib
import ctypes
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import pynvml

from .nvml_tables import ARGUMENTS, FILLED

Call = Callable[[Any], Any]
"""Given a device, what NVML answers."""

LONGEST = 4096
"""Characters of an answer that is kept; of a longer one the length is."""

# Keys, certificates and what belongs to a virtual machine's host: not asked.
_NOT_ASKED = ("Attestation", "Certificate", "Vgpu", "Hostname")


def _filled(name: str) -> Call:
    def call(gpu: Any) -> Any:
        kind, number = FILLED[name]
        structure = getattr(pynvml, kind)()
        if "version" in {field[0] for field in structure._fields_}:
            structure.version = ctypes.sizeof(structure) | number << 24
        checked(name, gpu, ctypes.byref(structure))
        return structure

    return call


def checked(symbol: str, *arguments: Any) -> None:
    """One function of the library itself. Raises pynvml.NVMLError."""
    code = pynvml._nvmlGetFunctionPointer(symbol)(*arguments)
    if code:
        raise pynvml.NVMLError(code)


def _field_values(gpu: Any) -> dict[str, Any]:
    """Of each field: NVML's code, and where it is 0 the type of the value."""
    found = {}
    for first in range(1, 300, 50):
        for value in pynvml.nvmlDeviceGetFieldValues(gpu, list(range(first, first + 50))):
            found[str(value.fieldId)] = [value.nvmlReturn] + ([value.valueType] if value.nvmlReturn == 0 else [])
    return found


_SPECIAL: dict[str, Call] = {
    "nvmlDeviceGetMemoryInfo_v2": lambda gpu: pynvml.nvmlDeviceGetMemoryInfo(gpu, pynvml.nvmlMemory_v2),
    "nvmlDeviceGetMigDeviceHandleByIndex0": lambda gpu: pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 0),
    "instance_by_id1": lambda gpu: pynvml.nvmlDeviceGetGpuInstanceById(gpu, 1),
    "field_values": _field_values,
    "field_values(184, 199)": lambda gpu: [
        (one.nvmlReturn, one.valueType, one.value.uiVal) for one in pynvml.nvmlDeviceGetFieldValues(gpu, [184, 199])
    ],
}


def of_device() -> dict[str, Call]:
    """Every call that is about one device."""
    calls: dict[str, Call] = {}
    for name, function in inspect.getmembers(pynvml, inspect.isfunction):
        if not name.startswith(("nvmlDeviceGet", "nvmlDeviceIs", "nvmlGpmQuery")) or any(x in name for x in _NOT_ASKED):
            continue
        needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        if name in FILLED:
            calls[name] = _filled(name)
        elif name in ARGUMENTS:
            for arguments in ARGUMENTS[name]:
                label = f"{name}({', '.join(map(str, arguments))})"
                calls[label] = by_label(label)
        elif len(needed) == 1 and not name.startswith("nvmlDeviceGetHandleBy"):
            calls[name] = function
    return {**calls, **_SPECIAL}


def by_label(label: str) -> Call:
    """The call of a label.

    Raises:
        AttributeError: nvidia-ml-py has no such function.
    """
    if label in _SPECIAL:
        return _SPECIAL[label]
    name, has, rest = label.partition("(")
    if name in FILLED:
        return _filled(name)
    function = getattr(pynvml, name)
    arguments = ast.literal_eval(f"({rest[:-1]},)") if has else ()
    return lambda gpu: function(gpu, *arguments)


def of_system() -> dict[str, Callable[[], Any]]:
    """Every call that is about no device."""
    names = [
        *("nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion", "nvmlSystemGetDriverBranch"),
        *("nvmlSystemGetCudaDriverVersion", "nvmlSystemGetCudaDriverVersion_v2", "nvmlDeviceGetCount"),
        *("nvmlUnitGetCount", "nvmlGetExcludedDeviceCount", "nvmlSystemGetHicVersion", "nvmlSystemGetNvlinkBwMode"),
        *("nvmlSystemGetConfComputeCapabilities", "nvmlSystemGetConfComputeState"),
        *("nvmlSystemGetConfComputeGpusReadyState", "nvmlSystemGetConfComputeKeyRotationThresholdInfo"),
    ]
    return {name: getattr(pynvml, name) for name in names}


def base(label: str) -> str:
    """The function of a label."""
    return label.partition("(")[0]


def answer(call: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """`ok`: what NVML answered, as plain data; or `err`: its code, and `msg`. `us`: how long it took."""
    begun = time.perf_counter()
    try:
        value = call(*arguments)
        found = {"ok": plain(value)}
    except pynvml.NVMLError as error:
        found = {"err": error.value, "msg": str(error)}
    found["us"] = round((time.perf_counter() - begun) * 1e6, 1)
    return found


def plain(value: Any) -> Any:
    """What nvidia-ml-py gives, as what JSON holds."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, ctypes._SimpleCData):
        return value.value
    if isinstance(value, ctypes.Array):
        return plain(list(value))
    if isinstance(value, ctypes.Structure):
        return {field[0]: plain(getattr(value, field[0])) for field in value._fields_}
    if isinstance(value, ctypes.Union | ctypes._Pointer):
        return {}
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "__dict__"):
        return {name: plain(each) for name, each in vars(value).items()}
    return value


def handles(gpu: Any) -> dict[str, Any]:
    """By which ways of writing a device is found."""
    uuid, pci = pynvml.nvmlDeviceGetUUID(gpu), pynvml.nvmlDeviceGetPciInfo(gpu)
    short = f"{pci.bus:02x}:{pci.device:02x}.0"
    bus = pci.busId if isinstance(pci.busId, str) else pci.busId.decode()
    ways: dict[str, Callable[[], Any]] = {
        "handleByUUID": lambda: pynvml.nvmlDeviceGetHandleByUUID(uuid),
        "UUID in capitals": lambda: pynvml.nvmlDeviceGetHandleByUUID(uuid.upper()),
        "UUID without GPU-": lambda: pynvml.nvmlDeviceGetHandleByUUID(uuid[4:]),
        "UUID cut short": lambda: pynvml.nvmlDeviceGetHandleByUUID(uuid[:-1]),
        "UUIDV text": lambda: pynvml.nvmlDeviceGetHandleByUUIDV(uuid, 1),
        "UUIDV bytes": lambda: pynvml.nvmlDeviceGetHandleByUUIDV(bytes.fromhex(uuid[4:].replace("-", "")), 2),
        "UUIDV type 3": lambda: pynvml.nvmlDeviceGetHandleByUUIDV(uuid, 3),
        "handleByPci": lambda: pynvml.nvmlDeviceGetHandleByPciBusId(bus),
        "PCI id in small letters": lambda: pynvml.nvmlDeviceGetHandleByPciBusId(bus.lower()),
        "PCI id with a short domain": lambda: pynvml.nvmlDeviceGetHandleByPciBusId(bus[4:]),
        "PCI id without domain": lambda: pynvml.nvmlDeviceGetHandleByPciBusId(short),
        "PCI id without function": lambda: pynvml.nvmlDeviceGetHandleByPciBusId(bus[:-2]),
        "PCI id of function 1": lambda: pynvml.nvmlDeviceGetHandleByPciBusId(f"{bus[:-1]}1"),
        "serial": lambda: pynvml.nvmlDeviceGetHandleBySerial(pynvml.nvmlDeviceGetSerial(gpu)),
        "byBadUUID": lambda: pynvml.nvmlDeviceGetHandleByUUID("GPU-deadbeef-0000-0000-0000-000000000000"),
        "byIndex99": lambda: pynvml.nvmlDeviceGetHandleByIndex(99),
    }
    found: dict[str, Any] = {}
    for what, way in ways.items():
        try:
            way()
            found[what] = "ok"
        except pynvml.NVMLError as error:
            found[what] = error.value
    return found


def profiles(gpu: Any) -> dict[str, dict[str, Any]]:
    """Of every number up to 19: the profile as the three versions of the structure tell it, its places and room."""
    return {str(number): _profile(gpu, number) for number in range(20)}


def _profile(gpu: Any, number: int) -> dict[str, Any]:
    try:
        info = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number, 2)
    except pynvml.NVMLError as error:
        return {"enum": number, "err": error.value, "v1": _code_of(gpu, number, 1), "v3": _third(gpu, number)["err"]}
    first = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number, 1)
    return {
        **plain(info),
        "placements": placements(gpu, info.id),
        "instances": instances(gpu, info.id),
        "remaining": answer(pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity, gpu, info.id).get("ok"),
        "v1": plain(first),
        "v3": _third(gpu, number),
    }


def _code_of(gpu: Any, number: int, version: int) -> int:
    try:
        pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number, version)
    except pynvml.NVMLError as error:
        return int(error.value)
    return 0


class ProfileV3(ctypes.Structure):
    """nvmlGpuInstanceProfileInfo_v3_t, which nvidia-ml-py does not have."""

    _fields_ = [
        *((name, ctypes.c_uint) for name in ("version", "id", "sliceCount", "instanceCount", "multiprocessorCount")),
        *((f"{name}Count", ctypes.c_uint) for name in ("copyEngine", "decoder", "encoder", "jpeg", "ofa")),
        ("memorySizeMB", ctypes.c_ulonglong),
        ("name", ctypes.c_char * 96),
        ("capabilities", ctypes.c_uint),
    ]


def _third(gpu: Any, number: int) -> dict[str, Any]:
    info = ProfileV3()
    info.version = ctypes.sizeof(info) | 3 << 24
    try:
        checked("nvmlDeviceGetGpuInstanceProfileInfoV", gpu, ctypes.c_uint(number), ctypes.byref(info))
    except pynvml.NVMLError as error:
        return {"err": error.value}
    return dict(plain(info))


def placements(gpu: Any, profile_id: int) -> list[list[int]]:
    """The places of a profile: start and size."""
    count = ctypes.c_uint()
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, profile_id, None, ctypes.byref(count))
    array = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, profile_id, array, ctypes.byref(count))
    return [[each.start, each.size] for each in array]


def instances(gpu: Any, profile_id: int) -> int:
    """How many GPU instances of a profile there are."""
    array, count = (pynvml.c_nvmlGpuInstance_t * 8)(), ctypes.c_uint()
    pynvml.nvmlDeviceGetGpuInstances(gpu, profile_id, array, ctypes.byref(count))
    return count.value


def errors() -> dict[str, str]:
    """NVML's texts of its codes."""
    texts = {}
    for number in (*range(40), 998, 999, 1000):
        text = pynvml.nvmlErrorString(number)
        texts[str(number)] = text if isinstance(text, str) else text.decode()
    return texts


def symbols() -> dict[str, bool]:
    """Which functions that nvidia-ml-py knows the library has."""
    names: set[str] = set()
    for _, function in inspect.getmembers(pynvml, inspect.isfunction):
        with contextlib.suppress(OSError, TypeError):
            names.update(_symbols_in(inspect.getsource(function)))
    return {name: code_exists(name) for name in sorted(names)}


def _symbols_in(source: str) -> Iterator[str]:
    for part in source.split('_nvmlGetFunctionPointer("')[1:]:
        yield part.partition('"')[0]


def code_exists(symbol: str) -> bool:
    """Whether the library has that function."""
    try:
        pynvml._nvmlGetFunctionPointer(symbol)
    except pynvml.NVMLError:
        return False
    return True


def pairs(first: Any, second: Any) -> dict[str, dict[str, Any]]:
    """What two devices of one machine are to each other."""
    found = {
        "nvmlDeviceGetTopologyCommonAncestor": answer(pynvml.nvmlDeviceGetTopologyCommonAncestor, first, second),
        "nvmlDeviceOnSameBoard": answer(pynvml.nvmlDeviceOnSameBoard, first, second),
    }
    for index in range(6):
        label = f"nvmlDeviceGetP2PStatus({index})"
        found[label] = answer(pynvml.nvmlDeviceGetP2PStatus, first, second, index)
    return found
