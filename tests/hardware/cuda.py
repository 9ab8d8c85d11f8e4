"""Processes of the tests' own on a GPU: CUDA through its driver library alone, and one that merely looks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WORK = """
import ctypes, sys, time
cuda = ctypes.CDLL("libcuda.so.1")
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
def call(name, *arguments):
    value = getattr(cuda, name)(*arguments)
    assert value == 0, (name, value)
size, busy = int(sys.argv[1]) << 20, sys.argv[2] == "busy"
call("cuInit", 0)
call("cuDeviceGet", ctypes.byref(device), 0)
call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
call("cuCtxSetCurrent", context)
call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(size))
print("ready", flush=True)
end = time.monotonic() + 300
while time.monotonic() < end:
    if busy:
        call("cuMemsetD32_v2", memory, ctypes.c_uint(7), ctypes.c_size_t(size // 4))
        call("cuCtxSynchronize")
    else:
        time.sleep(1)
"""
_MONITOR = """
import ctypes, sys, time
nvml = ctypes.CDLL("libnvidia-ml.so.1")
device = ctypes.c_void_p()
assert nvml.nvmlInit_v2() == 0
assert nvml.nvmlDeviceGetHandleByUUID(sys.argv[1].encode(), ctypes.byref(device)) == 0
print("ready", flush=True)
time.sleep(300)
"""


@contextmanager
def using(uuid: str, mib: int, *, busy: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds so much memory of the GPU, or also works; it has begun, and is ended at the end."""
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": uuid}
    with _running([sys.executable, "-c", _WORK, str(mib), "busy" if busy else "idle"], env) as child:
        yield child


@contextmanager
def watching(uuid: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the driver open and no context: what monitoring programs are."""
    with _running([sys.executable, "-c", _MONITOR, uuid], dict(os.environ)) as child:
        yield child


@contextmanager
def _running(command: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n", f"{command[-2:]} did not begin"
        yield child
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
