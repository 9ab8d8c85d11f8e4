"""What can go wrong between migprov and Slurm. Every message says what was not changed and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import NodeError
from .state import Job


class SlurmError(NodeError):
    """Slurm refused or failed, for a reason that has no class of its own."""

    code = "slurm"


class NoSlurm(SlurmError):
    """There are no Slurm commands where they were looked for, or they find no configuration."""

    code = "slurm_missing"


class NoController(SlurmError):
    """slurmctld does not answer."""

    code = "slurm_no_controller"


class UnknownNode(SlurmError):
    """Slurm has no node of that name."""

    code = "slurm_unknown_node"


class NoPermission(SlurmError):
    """The user may ask Slurm, but not drain or resume nodes."""

    code = "slurm_no_permission"


class OutOfService(SlurmError):
    """The node could go or come back in the middle of a change: it is down and nobody drained it, or is to reboot."""

    code = "slurm_out_of_service"


class JobsStay(SlurmError):
    """Jobs were still on the node when the time was up. `jobs` are those."""

    code = "slurm_jobs"

    def __init__(self, message: str, *, jobs: Sequence[Job], host: str = "", next: str | None = None) -> None:
        super().__init__(message, host=host, next=next)
        self.jobs = tuple(jobs)

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "jobs": [job.to_json() for job in self.jobs]}


class NotBack(SlurmError):
    """The node was to be back in service and is not."""

    code = "slurm_not_back"


class NotAsWritten(SlurmError):
    """Slurm took a change and, read again, the node is not so."""

    code = "slurm_effect_missing"


class CannotEdit(SlurmError):
    """slurm.conf or gres.conf cannot be edited for one node alone. It was not changed."""

    code = "slurm_files"
