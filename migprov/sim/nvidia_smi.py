#!/usr/bin/env -S python3 -I -S
"""Stand-in for nvidia-smi on a simulated node: -L, --version, --gpu-reset and the queries that tools make.

It stands alone beside its node's library (../lib) and needs nothing but a Python 3.
"""

import ctypes
import os
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
ENDS = {3: 3, 4: 4, 9: 9, 12: 12, 15: 15}  # NVML's code -> exit status; any other: 255
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
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


class Memory(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint)] + [
        (name, ctypes.c_ulonglong) for name in ("total", "reserved", "free", "used")
    ]


class Pci(ctypes.Structure):
    _fields_ = [("legacy", ctypes.c_char * 16), ("numbers", ctypes.c_uint * 5), ("bus_id", ctypes.c_char * 32)]


class Nvml:
    def __init__(self):
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

    def error(self, code):
        return self.library.nvmlErrorString(code).decode()

    def text(self, call, *first):
        value = ctypes.create_string_buffer(96)
        self.check(getattr(self.library, call)(*first, value, ctypes.c_uint(96)), call)
        return value.value.decode()

    def check(self, code, what):
        if code:
            raise Failure("%s: %s" % (what, self.error(code)), code)

    def devices(self):
        count = ctypes.c_uint()
        self.check(self.library.nvmlDeviceGetCount_v2(ctypes.byref(count)), "nvmlDeviceGetCount_v2")
        for index in range(count.value):
            handle = ctypes.c_void_p()
            code = self.library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
            if code:
                print("Unable to determine the device handle for GPU%d: %s" % (index, self.error(code)))
            else:
                yield index, handle

    def uuid(self, handle):
        return self.text("nvmlDeviceGetUUID", handle)

    def name(self, handle):
        return self.text("nvmlDeviceGetName", handle)

    def bus_id(self, handle):
        pci = Pci()
        self.check(self.library.nvmlDeviceGetPciInfo_v3(handle, ctypes.byref(pci)), "nvmlDeviceGetPciInfo_v3")
        return pci.bus_id.decode()

    def memory(self, handle):
        memory = Memory()
        memory.version = ctypes.sizeof(Memory) | 2 << 24
        self.check(self.library.nvmlDeviceGetMemoryInfo_v2(handle, ctypes.byref(memory)), "nvmlDeviceGetMemoryInfo_v2")
        return memory

    def mig_mode(self, handle):
        current, pending = ctypes.c_uint(), ctypes.c_uint()
        code = self.library.nvmlDeviceGetMigMode(handle, ctypes.byref(current), ctypes.byref(pending))
        if code:
            return "[N/A]", "[N/A]"
        return tuple("Enabled" if mode.value else "Disabled" for mode in (current, pending))

    def mig_devices(self, handle):
        count = ctypes.c_uint()
        self.library.nvmlDeviceGetMaxMigDeviceCount(handle, ctypes.byref(count))
        for index in range(count.value):
            mig = ctypes.c_void_p()
            if not self.library.nvmlDeviceGetMigDeviceHandleByIndex(handle, ctypes.c_uint(index), ctypes.byref(mig)):
                yield index, mig


def find(nvml, wanted):
    """The GPU by index, UUID or PCI bus id."""
    for index, handle in nvml.devices():
        bus_id = nvml.bus_id(handle)
        names = (str(index), nvml.uuid(handle).lower(), bus_id.lower(), bus_id[4:].lower(), bus_id[9:].lower())
        if wanted.lower() in names:
            return handle
    raise Failure("No devices were found" if not wanted else "Device %s was not found" % wanted, 6)


def reset(nvml, wanted):
    chosen = [find(nvml, part) for part in wanted.split(",")] if wanted else [h for _, h in nvml.devices()]
    failed = []
    for handle in chosen:
        bus_id = nvml.bus_id(handle)
        code = nvml.library.migprovSimResetGpu(handle)
        if code:
            failed.append((bus_id, code))
        else:
            print("GPU %s was successfully reset." % bus_id)
    if not failed:
        print("All done.")
        return 0
    print("The following GPUs could not be reset:")
    for bus_id, code in failed:
        print("  GPU %s: %s" % (bus_id, nvml.error(code)))
    busy = sum(code == 19 for _, code in failed)
    if busy:
        noun = "device is" if busy == 1 else "devices are"
        print(
            "\n%d %s currently being used by one or more other processes (e.g., Fabric Manager, CUDA application, "
            "graphics application such as an X server, or a monitoring application such as another instance of "
            "nvidia-smi). Please first kill all processes using %s and all compute applications running in the "
            "system." % (busy, noun, "this device" if busy == 1 else "these devices")
        )
    return ENDS.get(failed[0][1], 255)


def list_gpus(nvml):
    for index, handle in nvml.devices():
        print("GPU %d: %s (UUID: %s)" % (index, nvml.name(handle), nvml.uuid(handle)))
        for number, mig in nvml.mig_devices(handle):
            profile = nvml.name(mig).rsplit("MIG ", 1)[1]
            print("  MIG %-14s Device %2d: (UUID: %s)" % (profile, number, nvml.uuid(mig)))
    return 0


def version(nvml):
    driver = nvml.text("nvmlSystemGetDriverVersion")
    cuda = ctypes.c_int()
    nvml.library.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(cuda))
    print("NVIDIA-SMI version  : %s" % driver)
    print("NVML version        : %s" % ".".join(driver.split(".")[:2]))
    print("DRIVER version      : %s" % driver)
    print("CUDA Version        : %d.%d" % (cuda.value // 1000, cuda.value % 1000 // 10))
    return 0


def values(nvml, handle, count, units):
    current, pending = nvml.mig_mode(handle)
    memory = nvml.memory(handle)
    index = ctypes.c_uint()
    nvml.library.nvmlDeviceGetIndex(handle, ctypes.byref(index))
    unit = " MiB" if units else ""
    return {
        "index": str(index.value),
        "uuid": nvml.uuid(handle),
        "name": nvml.name(handle),
        "pci.bus_id": nvml.bus_id(handle),
        "driver_version": nvml.text("nvmlSystemGetDriverVersion"),
        "mig.mode.current": current,
        "mig.mode.pending": pending,
        "memory.total [MiB]": "%d%s" % (memory.total // MIB, unit),
        "memory.used [MiB]": "%d%s" % (memory.used // MIB, unit),
        "serial": nvml.text("nvmlDeviceGetSerial", handle),
        "count": str(count),
    }


def query(nvml, fields, form, wanted):
    names = [field.strip() for field in fields.split(",")]
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise Failure('Field "%s" is not a valid field to query.\n' % unknown[0], 2)
    options = [part.strip() for part in form.split(",")]
    if options[0] != "csv":
        raise Failure("--format= must be csv", 2)
    if "noheader" not in options:
        headers = [FIELDS[name] for name in names]
        print(", ".join(h.split(" ")[0] if "nounits" in options else h for h in headers))
    devices = [handle for _, handle in nvml.devices()]
    for handle in [find(nvml, part) for part in wanted.split(",")] if wanted else devices:
        row = values(nvml, handle, len(devices), "nounits" not in options)
        print(", ".join(row[FIELDS[name]] for name in names))
    return 0


def parse(arguments):
    """Options with their values, `--name=value` and `--name value` alike."""
    takes_value = ("-i", "--id", "--query-gpu", "--format")
    known = ("-L", "--list-gpus", "--version", "-r", "--gpu-reset")
    options = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in takes_value:
            if not equals and not rest:
                raise Failure("Option %s needs a value." % name, 2)
            options[name.replace("--id", "-i")] = value if equals else rest.pop(0)
        elif name in known and not equals:
            options[{"--list-gpus": "-L", "-r": "--gpu-reset"}.get(name, name)] = ""
        else:
            raise Failure(
                "Invalid combination of input arguments. This simulated nvidia-smi knows -L, --version, "
                "--gpu-reset [-i ID] and --query-gpu=... --format=csv[,noheader][,nounits] [-i ID].",
                2,
            )
    return options


def main(arguments):
    options = parse(arguments)
    nvml = Nvml()
    wanted = options.get("-i", "")
    if "--gpu-reset" in options:
        return reset(nvml, wanted)
    if "--query-gpu" in options:
        return query(nvml, options["--query-gpu"], options.get("--format", "csv"), wanted)
    if "--version" in options:
        return version(nvml)
    return list_gpus(nvml)


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except Failure as failure:
        print(failure)
        status = failure.code if failure.code in (2, 6, 18) else ENDS.get(failure.code, 255)
    sys.exit(status)
