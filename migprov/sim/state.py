"""The state file of a simulated node, as `native/state.h` lays it out.

Every change is made under an exclusive `flock` that the library takes as well; the kernel drops it when its holder
dies. Only the owner of the file (or root) can change it.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_char, c_int32, c_uint32, c_uint64
from pathlib import Path

from .errors import SimError

MAGIC = 0x4D4947504D495331
LAYOUT = 4
MAX_GPUS, MAX_PROFILES, MAX_STARTS, MAX_CI_PROFILES, MAX_INSTANCES = 16, 18, 8, 8, 8
MAX_PROCESSES, MAX_FAULTS, MAX_CALLS, CALL_NAME = 256, 64, 512, 64
CLOCKS, THRESHOLDS, MEMORY_CLOCKS = 4, 4, 4
NO_INSTANCE = 0xFFFFFFFF

DRIVER_CONDITIONS = ("loaded", "not-loaded", "mismatch")  # by number; "missing" has no library at all
KINDS = ("compute", "graphics", "mps", "monitor")  # by number


class CiProfile(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("number", "id", "slices", "sms", "max_count")]


class GiProfile(ctypes.Structure):
    _fields_ = [
        ("name", c_char * 96),
        ("memory_mib", c_uint64),
        *((name, c_uint32) for name in ("number", "id", "slices", "max_count", "sms")),
        *((name, c_uint32) for name in ("copy_engines", "decoders", "encoders", "jpegs", "ofas", "capabilities")),
        ("size", c_uint32),
        ("start_count", c_uint32),
        ("starts", c_uint32 * MAX_STARTS),
        ("order", c_uint32 * MAX_STARTS),
        ("ci_count", c_uint32),
        ("ci", CiProfile * MAX_CI_PROFILES),
    ]


class ComputeInstance(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("used", "id", "profile", "start", "size", "serial")),
        ("uuid", c_char * 80),
    ]


class GpuInstance(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("used", "id", "profile", "start", "size", "serial")),
        ("ci", ComputeInstance * MAX_INSTANCES),
    ]


class Board(ctypes.Structure):
    _fields_ = [
        *((name, c_char * 32) for name in ("vbios", "part_number", "inforom_image")),
        *((name, c_char * 8) for name in ("inforom_oem", "inforom_ecc")),
        *((name, c_uint32) for name in ("remapper_banks", "pcie_generation", "pcie_width", "memory_bus_bits")),
        *((name, c_uint32) for name in ("nvlinks", "nvlink_version", "nvlink_mbps", "performance_states")),
        *((f"power_{name}", c_uint32) for name in ("mw", "limit_mw", "min_mw", "averaged")),
        *((name, c_uint32) for name in ("memory_power_mw", "temperature_c", "memory_temperature_c")),
        ("threshold_c", c_uint32 * THRESHOLDS),
        ("tlimit", c_uint32),
        *((f"{name}clock_mhz", c_uint32 * CLOCKS) for name in ("", "max_", "application_")),
        ("supported_memory_mhz", c_uint32 * MEMORY_CLOCKS),
        *((name, c_uint32) for name in ("lowest_graphics_mhz", "graphics_step_mhz")),
    ]


class Gpu(ctypes.Structure):
    _fields_ = [
        ("name", c_char * 96),
        ("product", c_char * 40),
        ("uuid", c_char * 48),
        ("serial", c_char * 32),
        *((name, c_uint64) for name in ("memory_bytes", "reserved_bytes", "pdi")),
        *((f"pci_{name}", c_uint32) for name in ("domain", "bus", "device", "device_id", "subsystem_id")),
        ("minor", c_uint32),
        *((name, c_uint32) for name in ("architecture", "capability_major", "capability_minor")),
        *((name, c_uint32) for name in ("sms", "cores", "chip_id")),
        *((name, c_uint32) for name in ("has_row_remapper", "remap_pending")),
        *((name, c_uint32) for name in ("mig_capable", "resetless")),
        *((name, c_uint32) for name in ("memory_slices", "max_instances", "rotated")),
        *((name, c_uint32) for name in ("mig_current", "mig_pending", "persistence", "compute_mode")),
        *((name, c_uint32) for name in ("hypervisor", "lost", "requires_reset", "resets")),
        ("board", Board),
        ("profile_count", c_uint32),
        ("profiles", GiProfile * MAX_PROFILES),
        ("gi", GpuInstance * MAX_INSTANCES),
    ]


class Process(ctypes.Structure):
    _fields_ = [
        ("start_time", c_uint64),
        ("memory_bytes", c_uint64),
        ("view", c_uint64),
        *((name, c_uint32) for name in ("used", "pid", "gpu", "kind", "gi_id", "ci_id")),
    ]


class Fault(ctypes.Structure):
    _fields_ = [
        ("call", c_char * CALL_NAME),
        ("hang_us", c_uint64),
        ("used", c_uint32),
        *((name, c_int32) for name in ("gpu", "error", "times")),
        *((name, c_uint32) for name in ("skip", "late", "kill")),
    ]


class State(ctypes.Structure):
    _fields_ = [
        ("magic", c_uint64),
        *((name, c_uint32) for name in ("layout", "size", "node_id", "next_serial", "driver_condition", "gpu_count")),
        ("write_count", c_uint64),
        ("driver_version", c_char * 80),
        ("nvml_version", c_char * 80),
        ("cuda_version", c_int32),
        ("call_count", c_uint32),
        ("call_names", (c_char * CALL_NAME) * MAX_CALLS),
        ("counters", c_uint64 * MAX_CALLS),
        ("latency_us", c_uint32 * MAX_CALLS),
        ("processes", Process * MAX_PROCESSES),
        ("faults", Fault * MAX_FAULTS),
        ("gpus", Gpu * MAX_GPUS),
    ]


def write_new(path: Path, state: State) -> None:
    """Store a new node's state, whole or not at all; readable by all, writable by the owner."""
    state.magic, state.layout, state.size = MAGIC, LAYOUT, ctypes.sizeof(State)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(bytes(state))
    fresh.chmod(0o644)
    fresh.rename(path)


def read(path: Path) -> State:
    """A copy of the state at one moment. Raises SimError when the file is no node's state."""
    with _file(path, os.O_RDONLY) as fd:
        return State.from_buffer_copy(_checked(path, fd))


@contextmanager
def changing(path: Path) -> Iterator[State]:
    """The state itself, locked: what is assigned is what the driver sees. Raises SimError."""
    with _file(path, os.O_RDWR) as fd:
        _checked(path, fd)
        yield State.from_buffer(mmap.mmap(fd, ctypes.sizeof(State)))


def _checked(path: Path, fd: int) -> bytes:
    data = os.pread(fd, ctypes.sizeof(State) + 1, 0)
    if len(data) >= 16 and int.from_bytes(data[:8], "little") == MAGIC:
        layout = int.from_bytes(data[8:12], "little")
        if layout == LAYOUT and len(data) == ctypes.sizeof(State):
            return data
        raise SimError(f"{path} was made by another version of migprov", next="create the simulated node again")
    raise SimError(f"{path} is not the state of a simulated node", next="name the folder of a simulated node")


@contextmanager
def _file(path: Path, flags: int) -> Iterator[int]:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise SimError(
            f"{path.parent} is not a simulated node: it has no file {path.name}", next="see `migprov sim create`"
        ) from None
    except PermissionError:
        owner = path.stat().st_uid
        raise SimError(f"{path} belongs to user {owner}: only the owner changes a simulated node") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            yield fd
        finally:
            # Said aloud: the mapping keeps the file description, and with it the lock, alive.
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)
