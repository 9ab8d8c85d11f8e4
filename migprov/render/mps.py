"""CUDA MPS on a host: a systemd unit for control daemons, one daemon a GPU or MIG device. Pure.

After NVIDIA's "Multi-Process Service" (control daemon in the foreground with -f, CUDA_VISIBLE_DEVICES by UUID, a pipe
and a log directory for each daemon) and the "MIG User Guide" (each MIG device has an MPS server of its own).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..capacity.units import MOST_MIB
from .errors import CannotRender
from .text import File

UNIT = "migprov-mps@.service"
PROGRAM = "/usr/bin/nvidia-cuda-mps-control"
FOLDER = "/etc/migprov/mps"
_PIPES = "/run/migprov-mps"
_LOGS = "/var/log/migprov-mps"
_AFTER = ("systemd-modules-load.service", "nvidia-persistenced.service", "nvidia-fabricmanager.service")
_RESTORE = "migprov-restore.service"
"""The role mig_persist's unit, which makes the MIG devices at boot."""

_UUID = re.compile(r"(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
_PROGRAM = re.compile(r"/[A-Za-z0-9_./+-]+", re.ASCII)


@dataclass(frozen=True)
class Options:
    """`user`: whose processes may be clients (None: the daemon runs as root and serves one user after another).

    `threads_percent` is what part of the SMs a client may use at most, `memory_mib` (MiB) how much of the device's
    memory; both are the daemon's defaults, which a client may lower. None: no limit.
    """

    user: str | None = None
    threads_percent: int | None = None
    memory_mib: int | None = None
    program: str = PROGRAM


def files(devices: Sequence[str], options: Options | None = None) -> list[File]:
    """The unit, and the environment of each daemon, which its clients read too. Names are paths on the host.

    Raises:
        CannotRender: a device is not named by the UUID of a GPU or MIG device, or an option cannot be.
    """
    chosen = options or Options()
    _check(devices, chosen)
    return [File(f"/etc/systemd/system/{UNIT}", unit(chosen)), *(_environment(each, chosen) for each in devices)]


def _check(devices: Sequence[str], options: Options) -> None:
    if not devices:
        raise CannotRender("no GPU or MIG device is named", next="name them by their UUIDs (nvidia-smi -L).")
    for device in devices:
        if not _UUID.fullmatch(device):
            raise CannotRender(
                f"{device!r} is not the UUID of a GPU or MIG device, such as GPU-b1028956-cfa2-0990-bf4a-5da9abb51763",
                next="name devices by their UUIDs (nvidia-smi -L): indices change.",
            )
    if len(set(devices)) < len(devices):
        raise CannotRender("a device is named twice", next="name each once: it has one control daemon.")
    if options.user is not None and not _USER.fullmatch(options.user):
        raise CannotRender(f"{options.user!r} is no name of a user")
    if options.threads_percent is not None and not 1 <= options.threads_percent <= 100:
        raise CannotRender("the share of threads is a percentage from 1 to 100")
    if options.memory_mib is not None and options.memory_mib < 1:
        raise CannotRender("the limit of memory is 1 MiB or more")
    if options.memory_mib is not None and options.memory_mib > MOST_MIB:
        raise CannotRender("the limit of memory is more than any GPU will have")
    if not _PROGRAM.fullmatch(options.program):
        raise CannotRender(f"{options.program!r} is no absolute path of a program")


def unit(options: Options) -> str:
    """The template of the unit; what stands behind the @ is the device's UUID."""
    owner = [] if options.user is None else [f"User={options.user}"]
    # Root's daemon has clients of other users, who must get at its pipes; what they may do there the daemon decides.
    pipes = "0750" if options.user else "0755"
    return "\n".join(
        [
            "# By migprov render mps. Start: systemctl enable --now migprov-mps@UUID.service",
            f"# Clients read the same {FOLDER}/UUID.env.",
            "[Unit]",
            "Description=CUDA MPS control daemon of %i",
            "Documentation=https://docs.nvidia.com/deploy/mps/",
            f"After={' '.join((*_AFTER, _RESTORE))}",
            "",
            "[Service]",
            "Type=simple",
            *owner,
            f"EnvironmentFile={FOLDER}/%i.env",
            "RuntimeDirectory=migprov-mps/%i",
            f"RuntimeDirectoryMode={pipes}",
            "LogsDirectory=migprov-mps/%i",
            "LogsDirectoryMode=0750",
            f"ExecStart={options.program} -f",
            f"ExecStop=/bin/sh -c 'echo quit | {options.program}'",
            "TimeoutStopSec=60",
            "Restart=on-failure",
            "RestartSec=5",
            "ProtectSystem=full",
            "ProtectHome=read-only",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def _environment(device: str, options: Options) -> File:
    lines = [
        f"CUDA_VISIBLE_DEVICES={device}",
        f"CUDA_MPS_PIPE_DIRECTORY={_PIPES}/{device}",
        f"CUDA_MPS_LOG_DIRECTORY={_LOGS}/{device}",
    ]
    if options.threads_percent is not None:
        lines.append(f"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE={options.threads_percent}")
    if options.memory_mib is not None:
        # The daemon sees one device, its number 0.
        lines.append(f"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0={options.memory_mib}M")
    said = f"# By migprov render mps: the control daemon of {device}, and its clients."
    return File(f"{FOLDER}/{device}.env", "\n".join([said, *lines]) + "\n")
