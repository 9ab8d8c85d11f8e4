"""Slurm lets go of a node before its GPUs are changed, and gets it back afterwards.

    from migprov.fleet.commands import Local
    from migprov.fleet import slurm

    slurm.drain(Local(), "gn0", "voice")     # no new jobs; waits for those that run
    ...
    slurm.resume(Local(), "gn0")             # only what migprov drained

The first argument says where Slurm's commands run (`migprov.fleet.commands`): the node, a login host, the controller.
`with_conf` gives them another slurm.conf.
"""

from __future__ import annotations

from .act import drain, drained_by_migprov, read, resume
from .client import with_conf
from .errors import (
    JobsStay,
    NoController,
    NoPermission,
    NoSlurm,
    NotBack,
    OutOfService,
    SlurmError,
    UnknownNode,
)
from .outcome import Drained, Outcome
from .plan import PREFIX, Jobs
from .state import Job, Node, Reading

__all__ = [
    "PREFIX",
    "Drained",
    "Job",
    "Jobs",
    "JobsStay",
    "NoController",
    "NoPermission",
    "NoSlurm",
    "Node",
    "NotBack",
    "OutOfService",
    "Outcome",
    "Reading",
    "SlurmError",
    "UnknownNode",
    "drain",
    "drained_by_migprov",
    "read",
    "resume",
    "with_conf",
]
