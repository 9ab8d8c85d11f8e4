"""What can go wrong on a node. Each carries the wire's code, the GPU, and the next action for the reader."""

from __future__ import annotations

from ..mig.errors import GpuBusy, GpuLost, MigError, ResetRequired

# NVML's return codes
INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, RESET_REQUIRED, IN_USE = 2, 3, 4, 6, 16, 19
VERSION_MISMATCH = 25  # of an argument
_NOT_LOADED, _LIBRARY_NOT_FOUND, _FUNCTION_NOT_FOUND, _LOST, _MISMATCH = 9, 12, 13, 15, 18


class NoDriver(MigError):
    """The NVML library is not on this machine."""

    code = "no_driver"


class DriverNotLoaded(MigError):
    """The NVML library is there, the kernel module is not."""

    code = "driver_not_loaded"


class DriverMismatch(MigError):
    """Kernel module and NVML library are of different versions."""

    code = "driver_mismatch"


class DriverTooOld(MigError):
    """The driver is older than MIG on this product needs."""

    code = "driver_too_old"


class NoPermission(MigError):
    """The user may not do this."""

    code = "no_permission"


class ResetRefused(MigError):
    """The GPU could not be reset."""

    code = "reset_refused"


class ModeNotEffective(MigError):
    """The MIG mode is not what it has to be."""

    code = "mode_not_effective"


class NotAsWanted(MigError):
    """Verify found differences."""

    code = "not_as_wanted"


class EffectMissing(MigError):
    """A step reported success and its effect is not there."""

    code = "effect_missing"


class Locked(MigError):
    """Another run is changing this node."""

    code = "locked"


class ServiceFailed(MigError):
    """A systemd service could not be stopped or started."""

    code = "service_failed"


class DriverHangs(MigError):
    """A step did not return; the program ended itself, so that the node's lock is free."""

    code = "driver_hangs"


class Stopped(MigError):
    """The program was asked to end and did so between two steps."""

    code = "stopped"


class NoHistory(MigError):
    """There is no change to go back before."""

    code = "no_history"


class NvmlError(MigError):
    """An NVML call failed; ``call`` names it and ``value`` is its return code."""

    code = "nvml"

    def __init__(self, call: str, value: int, text: str) -> None:
        super().__init__("%s failed: %s (NVML %d)" % (call, text, value))
        self.call = call
        self.value = value
        self.text = text


def of_nvml(name: str, value: int, text: str) -> MigError:
    """The error for what an NVML call returned; ``text`` is NVML's own."""
    if value == _LIBRARY_NOT_FOUND:
        return NoDriver(
            "the NVML library (libnvidia-ml.so.1) is not on this node",
            next="install the NVIDIA driver; nothing was changed",
        )
    if value == _NOT_LOADED:
        return DriverNotLoaded(
            "the NVIDIA kernel module is not loaded",
            next="load it (modprobe nvidia) or look at dmesg for why it did not start; nothing was changed",
        )
    if value == _MISMATCH:
        return DriverMismatch(
            "the NVIDIA kernel module and the NVML library are of different versions",
            next="reboot the node, or reload the kernel module, after a driver upgrade; nothing was changed",
        )
    if value == _LOST:
        return GpuLost("it is lost: it fell off the bus (%s)" % name, next="look at dmesg for Xid; reboot the node")
    if value == NO_PERMISSION:
        return NoPermission(
            "%s: insufficient permissions" % name,
            next="run as root: ansible_become: true in the inventory, or become in a play",
        )
    if value == RESET_REQUIRED:
        return ResetRequired(
            "the GPU requires a reset (%s)" % name,
            next="look at dmesg for the Xid behind it; the task reset (module gpu_reset) resets just this GPU",
        )
    if value == IN_USE:
        return GpuBusy("%s: in use by another client" % name, next="end the work that uses it, then run again")
    if value == _FUNCTION_NOT_FOUND:
        value, text = NOT_SUPPORTED, "Not Supported (the driver's library has no such function)"
    return NvmlError(name, value, text)
