"""What can go wrong on a node. Each carries the wire's code, the GPU, and the next action for the reader."""

from __future__ import annotations

from ..mig.errors import MigError


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
