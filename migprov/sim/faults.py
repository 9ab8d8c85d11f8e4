"""What can be done to a node's state: faults, conditions of GPUs, delays, a reboot."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from . import state as layout
from .errors import SimError

ERRORS = {
    "UNINITIALIZED": 1,
    "INVALID_ARGUMENT": 2,
    "NOT_SUPPORTED": 3,
    "NO_PERMISSION": 4,
    "NOT_FOUND": 6,
    "INSUFFICIENT_SIZE": 7,
    "DRIVER_NOT_LOADED": 9,
    "TIMEOUT": 10,
    "GPU_IS_LOST": 15,
    "RESET_REQUIRED": 16,
    "LIB_RM_VERSION_MISMATCH": 18,
    "IN_USE": 19,
    "MEMORY": 20,
    "INSUFFICIENT_RESOURCES": 23,
    "UNKNOWN": 999,
}

_MOST = 2**31
_LONGEST_S = 10**9  # three decades


@dataclass(frozen=True)
class Wanted:
    """A fault of calls: one of these fails, hangs or kills its caller. gpu None: of any, and of calls about none."""

    gpu: int | None
    call: str | None
    error: str | int | None
    times: int | None
    hang_s: float | None
    skip: int = 0
    late: bool = False
    kill: bool = False

    def check(self, node: layout.State) -> None:
        """Raises SimError when it cannot be: no such call or error, or a number out of range."""
        if self.call is None and self.gpu is None:
            raise SimError("a fault is about a GPU, a call, or both", next="give gpu or call")
        if self.times is not None and not 0 < self.times < _MOST:
            raise SimError(f"a fault cannot happen {self.times} times")
        if not 0 <= self.skip < _MOST:
            raise SimError(f"{self.skip} calls cannot pass before the fault")
        if self.hang_s is not None and not 0 <= self.hang_s <= _LONGEST_S:
            raise SimError(f"a call cannot hang {self.hang_s} seconds", next=f"at most {_LONGEST_S}")
        _code(self.error)
        _check_call(node, self.call)


def add(node: layout.State, wanted: Wanted) -> None:
    """Enter a fault that was checked. Raises SimError when there is no room."""
    for fault in node.faults:
        if not fault.used:
            fault.call = (wanted.call or "").encode()
            fault.gpu = -1 if wanted.gpu is None else wanted.gpu
            fault.error = _code(wanted.error)
            fault.times = -1 if wanted.times is None else wanted.times
            fault.hang_us = int((wanted.hang_s or 0) * 1e6)
            fault.skip, fault.late, fault.kill = wanted.skip, int(wanted.late), int(wanted.kill)
            fault.used = 1
            return
    raise SimError(f"at most {layout.MAX_FAULTS} faults at once", next="clear those that are over")


def set_conditions(node: layout.State, gpu: int | None, **conditions: bool | None) -> None:
    """Set `lost`, `hypervisor`, `requires_reset`, `remap_pending` of a GPU (None: of all) where they are not None."""
    for index in range(node.gpu_count):
        for name, value in conditions.items():
            if value is not None and gpu in (None, index):
                setattr(node.gpus[index], name, int(value))


def clear(node: layout.State) -> None:
    """No fault, no lost GPU, no hypervisor, no GPU that requires a reset."""
    for fault in node.faults:
        fault.used = 0
    set_conditions(node, None, lost=False, hypervisor=False, requires_reset=False, remap_pending=False)


def reboot(node: layout.State) -> None:
    """What a restart does to the GPUs. Injected faults of calls stay."""
    for process in node.processes:
        process.used = 0
    for gpu in node.gpus[: node.gpu_count]:
        for instance in gpu.gi:
            instance.used = 0
        gpu.lost = gpu.requires_reset = gpu.remap_pending = 0
        # Ampere's mode lies on the board, a pending one included; newer ones live in the driver's memory.
        gpu.mig_pending = 0 if gpu.resetless else gpu.mig_pending
        gpu.mig_current = gpu.mig_pending


def set_latency(node: layout.State, call: str | None, microseconds: int) -> None:
    """Let a call (None: every call) take so long. Raises SimError when there is no such call."""
    if not 0 <= microseconds < 1 << 32:
        raise SimError(f"a call cannot take {microseconds} microseconds")
    _check_call(node, call)
    for index in range(node.call_count):
        if call is None or _names(call, node.call_names[index].value.decode()):
            node.latency_us[index] = microseconds


def _code(error: str | int | None) -> int:
    if error is None:
        return 0
    text = str(error).upper().removeprefix("NVML_ERROR_")
    if text in ERRORS:
        return ERRORS[text]
    if text.isdecimal() and 0 < int(text) < 1000:
        return int(text)
    raise SimError(f"{error!r} is no error of NVML", next=f"use a code or one of: {', '.join(ERRORS)}")


def _check_call(node: layout.State, call: str | None) -> None:
    known = [name.value.decode() for name in node.call_names[: node.call_count]]
    if call is None or any(_names(call, name) for name in known):
        return
    near = difflib.get_close_matches(call, known, 3)
    raise SimError(f"NVML has no function {call!r}", next=f"did you mean {' or '.join(near)}?" if near else None)


def _names(wanted: str, call: str) -> bool:
    """`nvmlDeviceGetMemoryInfo` names its `_v2` as well, as in the library."""
    rest = call.removeprefix(wanted) if call.startswith(wanted) else None
    return rest is not None and (rest in ("", "V") or rest.startswith("_v"))
