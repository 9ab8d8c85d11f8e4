"""Whether CUDA works on a device: memory is allocated there, set, read back and freed, through the driver API alone.

CUDA chooses its devices once a process, so each device is tried in a process of its own that sees no other.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..mig.state import Gpu

_LIBRARY = "libcuda.so.1"
_BYTES = 16 << 20
_PATTERNS = (0xA5C33C5A, 0x5A3CC3A5)
_AT_ONCE = 8
_AFTER_KILL_S = 5.0
_OUT_OF_MEMORY = 2
_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from %s import cuda; cuda.main(sys.argv[2])"
# the same where the program runs from its compiled twin, which is open
_KEPT_CHILD = (
    "import marshal, os, sys; n = int(sys.argv[1]); t = marshal.loads(os.pread(n, os.fstat(n).st_size, 4)); r = {}; "
    "exec(t[0], r); r['offer'](t, '', n); from %s import cuda; cuda.main(sys.argv[2])"
)


class _Failed(Exception):
    """A CUDA call answered with an error, or memory did not hold what was written; ``value`` is the CUresult or 0."""

    def __init__(self, text: str, value: int = 0) -> None:
        super().__init__(text)
        self.value = value


def devices(gpu: Gpu) -> List[Tuple[str, Optional[int], Optional[int]]]:
    """What CUDA is to be tried on: (UUID, GPU instance, compute instance); the whole GPU where MIG is off."""
    if not gpu.mig_current:
        return [(gpu.uuid, None, None)]
    return [(ci.uuid, gi.gi_id, ci.ci_id) for gi in gpu.instances for ci in gi.compute_instances if ci.uuid]


def check(gpus: Sequence[Gpu], limit_s: float) -> Dict[str, Dict[str, Any]]:
    """Try every device of these GPUs, by UUID: ``{"gpu", "result": "ok" | "skipped" | "error", "message"}``.

    A device that has not answered after ``limit_s`` seconds counts as an error. Where work has taken all of a
    device's memory, the device is skipped.
    """
    every = [(gpu, *device) for gpu in gpus for device in devices(gpu)]
    found: Dict[str, Dict[str, Any]] = {}
    for first in range(0, len(every), _AT_ONCE):
        some = every[first : first + _AT_ONCE]
        deadline = time.monotonic() + limit_s
        begun = [_begin(uuid) for _, uuid, _, _ in some]
        for (gpu, uuid, gi_id, _), process in zip(some, begun):
            answer = _answer(process, limit_s, deadline)
            held = any(p.gi_id == gi_id for p in gpu.processes if p.kind != "open")
            if answer.pop("value", 0) == _OUT_OF_MEMORY and held:
                answer = {"result": "skipped", "message": "work on this device has taken its memory"}
            found[uuid] = {"gpu": gpu.index, **answer}
    return found


def failures(found: Dict[str, Dict[str, Any]]) -> List[str]:
    """One sentence for each device on which CUDA does not work."""
    return [
        "GPU %s: CUDA does not work on %s: %s" % (one["gpu"], uuid, one["message"])
        for uuid, one in found.items()
        if one["result"] == "error"
    ]


def _begin(uuid: str) -> "subprocess.Popen[bytes]":
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # the program may run through a descriptor; the child needs that one under the same number
    kept: Optional[int] = getattr(sys.modules[__name__].__loader__, "descriptor", None)
    opened = re.match(r"/proc/self/fd/([0-9]+)(?:/|$)", root)
    code, where = (_CHILD, root) if kept is None else (_KEPT_CHILD, str(kept))
    descriptor = int(opened.group(1)) if opened else kept
    return subprocess.Popen(
        [sys.executable, "-E", "-s", "-S", "-c", code % __package__, where, uuid],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": uuid, "CUDA_CACHE_DISABLE": "1"},
        pass_fds=() if descriptor is None else (descriptor,),
    )


def _answer(process: "subprocess.Popen[bytes]", limit_s: float, deadline: float) -> Dict[str, Any]:
    try:
        out, _ = process.communicate(timeout=max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        process.kill()
        try:
            process.communicate(timeout=_AFTER_KILL_S)
        except subprocess.TimeoutExpired:  # it hangs in the kernel; nobody can end it
            return _error(
                "CUDA did not answer within %g s, and the process %d cannot be ended" % (limit_s, process.pid)
            )
        return _error("CUDA did not answer within %g s" % limit_s)
    try:
        answer: Dict[str, Any] = json.loads(out.decode("utf-8"))
        return {"result": str(answer["result"]), "message": str(answer["message"]), "value": int(answer["value"])}
    except (ValueError, KeyError, TypeError):
        return _error("the process that tried CUDA ended with status %s and no answer" % process.returncode)


def _error(message: str) -> Dict[str, Any]:
    return {"result": "error", "message": message}


# -- in the process of its own ---------------------------------------------------------------------------------------


def main(uuid: str) -> None:
    """Try the one device that this process sees and print the answer as a line of JSON."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        missing = "%s: cannot open shared object" % _LIBRARY in str(error)
        message = "this node has no %s" % _LIBRARY if missing else str(error)
        _print("skipped" if missing else "error", message)
        return
    try:
        _print("ok", _try(library, uuid))
    except _Failed as failure:
        _print("error", str(failure), failure.value)


def _print(result: str, message: str, value: int = 0) -> None:
    print(json.dumps({"result": result, "message": message, "value": value}))


def _try(library: Any, uuid: str) -> str:
    def call(name: str, *arguments: Any) -> None:
        value = getattr(library, name)(*arguments)
        if value != 0:
            raise _Failed("%s: %s" % (name, _words(library, value)), value)

    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), 0)
    _check_uuid(library, device, uuid)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        call("cuCtxSetCurrent", context)
        call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(_BYTES))
        try:
            for pattern in _PATTERNS:
                call("cuMemsetD32_v2", memory, ctypes.c_uint(pattern), ctypes.c_size_t(_BYTES // 4))
                back = ctypes.create_string_buffer(_BYTES)
                call("cuMemcpyDtoH_v2", back, memory, ctypes.c_size_t(_BYTES))
                if back.raw != pattern.to_bytes(4, sys.byteorder) * (_BYTES // 4):
                    raise _Failed("memory does not hold what was written to it")
        finally:
            library.cuMemFree_v2(memory)
    finally:
        library.cuDevicePrimaryCtxRelease_v2(device)
    return "%d MiB allocated, set and read back" % (_BYTES >> 20)


def _check_uuid(library: Any, device: ctypes.c_int, wanted: str) -> None:
    """That CUDA means the same device (drivers before 470 cannot tell the UUID of a MIG device)."""
    if not hasattr(library, "cuDeviceGetUuid_v2"):
        return
    raw = ctypes.create_string_buffer(16)
    if library.cuDeviceGetUuid_v2(raw, device) != 0:
        return
    if raw.raw.hex() != wanted.partition("-")[2].replace("-", "").lower():
        raise _Failed("CUDA shows the device %s instead" % raw.raw.hex())


def _words(library: Any, value: int) -> str:
    text = ctypes.c_char_p()
    library.cuGetErrorName(value, ctypes.byref(text))
    return "%s (%d)" % ((text.value or b"unknown error").decode("ascii", "replace"), value)
