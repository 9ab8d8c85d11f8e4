"""What can be wrong with a request or a layout, known before anything is touched."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence


class MigError(Exception):
    """Base of the domain's errors.

    ``code`` is the wire's word for it, ``gpu`` the index concerned, ``next`` what the reader should do, ``holders``
    the processes in the way and ``differences`` what verify found, both in their wire form.
    """

    code = "internal"

    def __init__(
        self,
        message: str,
        gpu: Optional[int] = None,
        next: str = "",
        holders: Sequence[Dict[str, Any]] = (),
        differences: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.message = message
        self.gpu = gpu
        self.next = next
        self.holders = list(holders)
        self.differences = list(differences)

    def __str__(self) -> str:
        return self.message


class BadRequest(MigError):
    """The request is malformed; nothing was read or changed."""

    code = "bad_request"


class UnknownGpu(MigError):
    """A selector names no GPU of this node."""

    code = "unknown_gpu"


class UnknownProfile(MigError):
    """A profile that this GPU does not have."""

    code = "unknown_profile"


class LayoutImpossible(MigError):
    """The wanted instances cannot be placed on this GPU together."""

    code = "layout_impossible"


class NotMigCapable(MigError):
    """The GPU has no MIG."""

    code = "not_mig_capable"


class GpuLost(MigError):
    """The GPU does not answer."""

    code = "gpu_lost"


class ResetRequired(MigError):
    """The driver wants the GPU reset for a cause of its own, such as an Xid."""

    code = "reset_required"


class GpuBusy(MigError):
    """Work is running on what would have to go."""

    code = "gpu_busy"
