#!/usr/bin/env -S python3 -I -S
"""Stand-in for nvidia-smi on a simulated node: -L, --version, --gpu-reset and the queries that tools make.

It stands alone beside its node's library (../lib) and needs nothing but a Python 3. Words and exit statuses are those
of NVIDIA's nvidia-smi 535, with which tests/nvidia_smi compares it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable, Iterator

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
NOT_SUPPORTED, LOST = 3, 15
ENDS = {2: 2, 3: 3, 4: 4, 6: 6, 9: 9, 12: 12, LOST: LOST, 18: 18}  # NVML's code -> exit status; any other: 255
FIELDS = {
    "index": "index",
    "uuid": "uuid",
    "gpu_uuid": "uuid",
    "name": "name",
    "gpu_name": "name",
    "pci.bus_id": "pci.bus_id",
    "gpu_bus_id": "pci.bus_id",
    "driver_version": "driver_version",
    "mig.mode.current": "mig.mode.current",
    "mig.mode.pending": "mig.mode.pending",
    "memory.total": "memory.total [MiB]",
    "memory.used": "memory.used [MiB]",
    "serial": "serial",
    "count": "count",
}


class Failure(Exception):
    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Memory(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint)] + [
        (name, ctypes.c_ulonglong) for name in ("total", "reserved", "free", "used")
    ]


class Pci(ctypes.Structure):
    _fields_ = [("legacy", ctypes.c_char * 16), ("numbers", ctypes.c_uint * 5), ("bus_id", ctypes.c_char * 32)]


class Nvml:
    def __init__(self) -> None:
        try:
            self.library = ctypes.CDLL(os.path.join(HERE, "lib", "libnvidia-ml.so.1"))
        except OSError:
            raise Failure(
                "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA "
                "Display Driver is properly installed and present in your system.\nPlease also try adding directory "
                "that contains libnvidia-ml.so to your system PATH.",
                12,
            ) from None
        self.library.nvmlErrorString.restype = ctypes.c_char_p
        code = self.library.nvmlInit_v2()
        if code == 9:
            raise Failure(
                "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the "
                "latest NVIDIA driver is installed and running.\n",
                9,
            )
        if code:
            raise Failure("Failed to initialize NVML: " + self.error(code), code)

    def error(self, code: int) -> str:
        return bytes(self.library.nvmlErrorString(code)).decode()

    def text(self, call: str, *first: object) -> str:
        value = ctypes.create_string_buffer(96)
        self.check(getattr(self.library, call)(*first, value, ctypes.c_uint(96)), call)
        return value.value.decode()

    def check(self, code: int, what: str) -> None:
        if code:
            raise Failure(f"{what}: {self.error(code)}", code)

    def count(self) -> int:
        count = ctypes.c_uint()
        self.check(self.library.nvmlDeviceGetCount_v2(ctypes.byref(count)), "nvmlDeviceGetCount_v2")
        return count.value

    def device(self, index: int, trouble: str) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        code = self.library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
        if code:
            raise self.trouble(trouble, code)
        return handle

    def trouble(self, what: str, code: int) -> Failure:
        advice = ".  Reboot the system to recover this GPU\n\n" if code == LOST else ""
        return Failure(f"{what}: {self.error(code)}{advice}", code)

    def devices(self, indices: Iterable[int]) -> list[ctypes.c_void_p]:
        return [self.device(index, f"Unable to determine the device handle for GPU{index}") for index in indices]

    def uuid(self, handle: ctypes.c_void_p) -> str:
        return self.text("nvmlDeviceGetUUID", handle)

    def name(self, handle: ctypes.c_void_p) -> str:
        return self.text("nvmlDeviceGetName", handle)

    def bus_id(self, handle: ctypes.c_void_p) -> str:
        pci = Pci()
        self.check(self.library.nvmlDeviceGetPciInfo_v3(handle, ctypes.byref(pci)), "nvmlDeviceGetPciInfo_v3")
        return bytes(pci.bus_id).decode()

    def memory(self, handle: ctypes.c_void_p) -> Memory:
        memory = Memory()
        memory.version = ctypes.sizeof(Memory) | 2 << 24
        self.check(self.library.nvmlDeviceGetMemoryInfo_v2(handle, ctypes.byref(memory)), "nvmlDeviceGetMemoryInfo_v2")
        return memory

    def mig_mode(self, handle: ctypes.c_void_p) -> tuple[str, str]:
        current, pending = ctypes.c_uint(), ctypes.c_uint()
        code = self.library.nvmlDeviceGetMigMode(handle, ctypes.byref(current), ctypes.byref(pending))
        if code:
            return "[N/A]", "[N/A]"
        words = ("Disabled", "Enabled")
        return words[current.value], words[pending.value]

    def mig_devices(self, handle: ctypes.c_void_p) -> Iterator[tuple[int, ctypes.c_void_p]]:
        count = ctypes.c_uint()
        self.library.nvmlDeviceGetMaxMigDeviceCount(handle, ctypes.byref(count))
        for index in range(count.value):
            mig = ctypes.c_void_p()
            if not self.library.nvmlDeviceGetMigDeviceHandleByIndex(handle, ctypes.c_uint(index), ctypes.byref(mig)):
                yield index, mig


def choose(nvml: Nvml, wanted: str) -> list[ctypes.c_void_p]:
    """GPUs by index, UUID or PCI bus id, in the order of their indices; those that are not there are passed over.

    Whoever asks by anything but the index meets the trouble of any GPU, as nvidia-smi then asks all who they are.
    """
    if not wanted:
        return nvml.devices(range(nvml.count()))
    parts = [part.strip() for part in wanted.lower().split(",")]
    if all(part.isdigit() for part in parts):
        found = nvml.devices(index for index in range(nvml.count()) if str(index) in parts)
    else:
        found = []
        for index in range(nvml.count()):
            try:
                handle = nvml.device(index, "")
                uuid, bus_id = nvml.uuid(handle).lower(), nvml.bus_id(handle).lower()
            except Failure as failure:
                raise Failure(str(nvml.trouble(f"Problem with GPU {index}", failure.code)), 255) from None
            if {str(index), uuid, bus_id, bus_id[4:], bus_id[9:]} & set(parts):
                found.append(handle)
    if not found:
        raise Failure("No devices were found", 6)
    return found


def reset(nvml: Nvml, wanted: str) -> int:
    chosen = choose(nvml, wanted)
    failed = []
    for handle in chosen:
        bus_id = nvml.bus_id(handle)
        code = nvml.library.migprovSimResetGpu(handle)
        if code:
            failed.append((bus_id, code))
        else:
            print(f"GPU {bus_id} was successfully reset.")
    if not failed:
        print("All done.")
        return 0
    print("The following GPUs could not be reset:")
    for bus_id, code in failed:
        print(f"  GPU {bus_id}: {nvml.error(code)}")
    busy = sum(code == 19 for _, code in failed)
    if busy:
        noun, those = ("device is", "this device") if busy == 1 else ("devices are", "these devices")
        print(
            f"\n{busy} {noun} currently being used by one or more other processes (e.g., Fabric Manager, "
            "CUDA application, graphics application such as an X server, or a monitoring application such as another "
            f"instance of nvidia-smi). Please first kill all processes using {those} and all compute "
            "applications running in the system."
        )
    return ENDS.get(failed[0][1], 255)


def list_gpus(nvml: Nvml) -> int:
    worst = 0
    for index in range(nvml.count()):
        try:
            handle = nvml.device(index, f"Unable to determine the device handle for gpu {index}")
        except Failure as failure:
            print(f"{failure}")
            worst = ENDS.get(failure.code, 255)
            continue
        print(f"GPU {index}: {nvml.name(handle)} (UUID: {nvml.uuid(handle)})")
        for number, mig in nvml.mig_devices(handle):
            profile = nvml.name(mig).rsplit("MIG ", 1)[1]
            print(f"  MIG {profile:<11} Device {number:2d}: (UUID: {nvml.uuid(mig)})")
    return worst


def version(nvml: Nvml) -> int:
    driver = nvml.text("nvmlSystemGetDriverVersion")
    cuda = ctypes.c_int()
    nvml.library.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(cuda))
    print(f"NVIDIA-SMI version  : {driver}")
    print(f"NVML version        : {'.'.join(driver.split('.')[:2])}")
    print(f"DRIVER version      : {driver}")
    print(f"CUDA Version        : {cuda.value // 1000}.{cuda.value % 1000 // 10}")
    return 0


def value(nvml: Nvml, handle: ctypes.c_void_p, field: str) -> str:
    if field == "index":
        index = ctypes.c_uint()
        nvml.check(nvml.library.nvmlDeviceGetIndex(handle, ctypes.byref(index)), "nvmlDeviceGetIndex")
        return str(index.value)
    if field.startswith("mig.mode"):
        return nvml.mig_mode(handle)[field == "mig.mode.pending"]
    if field.startswith("memory"):
        memory = nvml.memory(handle)
        return f"{(memory.total if field.startswith('memory.total') else memory.used) // MIB} MiB"
    if field == "serial":
        return nvml.text("nvmlDeviceGetSerial", handle)
    if field == "driver_version":
        return nvml.text("nvmlSystemGetDriverVersion")
    if field == "count":
        return str(nvml.count())
    read = {"uuid": nvml.uuid, "name": nvml.name, "pci.bus_id": nvml.bus_id}[field]
    return read(handle)


def cell(nvml: Nvml, handle: ctypes.c_void_p, field: str) -> str:
    try:
        return value(nvml, handle, field)
    except Failure as failure:
        return "[N/A]" if failure.code == NOT_SUPPORTED else f"[{nvml.error(failure.code)}]"


def query(nvml: Nvml, fields: str, form: str | None, wanted: str) -> int:
    names = fields.split(",")
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise Failure(f'Field "{unknown[0]}" is not a valid field to query.\n', 2)
    if form is None:
        raise Failure("\"--format=\" switch is missing. Please run 'nvidia-smi -h' for help.\n", 2)
    options = [part.strip() for part in form.split(",")]
    if options[0] != "csv" or not {"noheader", "nounits"}.issuperset(options[1:]):
        raise Failure("Format modifier is not recognized.", 2)
    chosen = choose(nvml, wanted)
    if "noheader" not in options:
        print(", ".join(FIELDS[name] for name in names))
    for handle in chosen:
        row = ", ".join(cell(nvml, handle, FIELDS[name]) for name in names)
        print(row.replace(" MiB", "") if "nounits" in options else row)
    return 0


def parse(arguments: list[str]) -> dict[str, str]:
    """Options with their values, `--name=value` and `--name value` alike."""
    takes_value = ("-i", "--id", "--query-gpu", "--format")
    known = ("-L", "--list-gpus", "--version", "-r", "--gpu-reset")
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in takes_value:
            if not equals and not rest:
                raise Failure(f"ERROR: Option {name} is missing its value. Please run 'nvidia-smi -h' for help.\n", 255)
            options[name.replace("--id", "-i")] = value if equals else rest.pop(0)
        elif name in known and not equals:
            options[{"--list-gpus": "-L", "-r": "--gpu-reset"}.get(name, name)] = ""
        else:
            raise Failure(
                f"ERROR: Option {name} is not recognized. This is migprov's stand-in for nvidia-smi; it knows -L, "
                "--version, --gpu-reset [-i ID] and --query-gpu=... --format=csv[,noheader][,nounits] [-i ID].\n",
                255,
            )
    if "-i" in options and not {"--gpu-reset", "--query-gpu"} & options.keys():
        raise Failure("ERROR: Option -i is not valid for this command. Please run 'nvidia-smi -h' for help.\n", 2)
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    nvml = Nvml()
    wanted = options.get("-i", "")
    if "--gpu-reset" in options:
        return reset(nvml, wanted)
    if "--query-gpu" in options:
        return query(nvml, options["--query-gpu"], options.get("--format"), wanted)
    if "--version" in options:
        return version(nvml)
    return list_gpus(nvml)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has enough ends it without a word
    try:
        status = main(sys.argv[1:])
    except Failure as failure:
        print(failure)
        status = ENDS.get(failure.code, 255)
    sys.exit(status)
