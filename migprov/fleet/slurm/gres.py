"""A node's gres in the files of Slurm, and in slurmctld: read, edit, write, read again."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..commands import Commands
from . import conf as slurm_conf
from .client import Client
from .devices import Gres
from .errors import CannotEdit, NoController, SlurmError
from .files import read_file, replace_file

_ATTEMPTS = 5
RECONFIGURE_SINCE = (23, 11)
"""From this version on, `scontrol reconfigure` is enough for a node's gres to change."""


@dataclass(frozen=True)
class Files:
    """slurm.conf (or the file with the node's line) and gres.conf, on the machine that has them."""

    conf: str
    gres_conf: str = ""

    @property
    def gres(self) -> str:
        return self.gres_conf or posixpath.join(posixpath.dirname(self.conf), "gres.conf")


@dataclass(frozen=True)
class Edit:
    """A file before and after; `before` is None where it did not exist."""

    path: str
    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return (self.before or "") != self.after

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "before": self.before or "", "after": self.after}


def edit(commands: Commands, node: str, files: Files, gres: Gres, *, check: bool = False) -> tuple[Edit, Edit]:
    """Bring the node's lines up to date: what became of slurm.conf and gres.conf. gres.conf is written first.

    Raises:
        SlurmError: a file cannot be read or written. CannotEdit: it cannot be edited; none was changed.
    """
    for _ in range(_ATTEMPTS):
        conf, devices = _edits(commands, node, files, gres)
        if check or all(_put(commands, one) for one in (devices, conf)):
            return conf, devices
    raise SlurmError(
        f"{files.conf} or {files.gres} on {commands.where} changes each time that it is to be written.",
        host=node,
        next="see who else writes it, then run the same again.",
    )


def known(commands: Commands, node: str, gres: Gres) -> bool:
    """Whether slurmctld has the node's GPUs as `gres` has them. Raises SlurmError."""
    has = slurm_conf.gpus_of(Client(commands, node).node().gres)
    return has == slurm_conf.gpus_of(",".join(gres.items))


def take(
    commands: Commands, node: str, gres: Gres, restart: Sequence[str], *, force: bool = False, settle_s: float = 60.0
) -> bool:
    """Make slurmctld read its files, unless it knows the node's gres already; whether that was needed.

    `restart` is the command for versions before 23.11; later ones reconfigure. `force`: also when it knows them.

    Raises:
        SlurmError: the command failed, or slurmctld does not know the gres `settle_s` seconds later.
    """
    client = Client(commands, node)
    if not force and known(commands, node, gres):
        return False
    argv = list(restart) if client.version() < RECONFIGURE_SINCE else ["scontrol", "reconfigure"]
    answer = commands.run(argv)
    if answer.rc:
        raise SlurmError(
            f"{' '.join(argv)} on {commands.where} failed ({answer.said[:200] or answer.rc}). The files have the new "
            "gres, slurmctld does not; the node stays drained.",
            host=node,
            next="see slurmctld's log; when it runs, run the same again.",
        )
    until = time.monotonic() + settle_s
    while True:
        try:
            if known(commands, node, gres):
                return True
        except NoController:
            if time.monotonic() >= until:
                raise
        if time.monotonic() >= until:
            break
        time.sleep(0.3)
    raise SlurmError(
        f"slurmctld has read its files and gives the node {client.node().gres or 'no gres'}, not "
        f"{','.join(gres.items)}; the node stays drained.",
        host=node,
        next="see whether it reads the files that were edited (scontrol show config), then run the same again.",
    )


def _edits(commands: Commands, node: str, files: Files, gres: Gres) -> tuple[Edit, Edit]:
    conf = read_file(commands, files.conf)
    if conf is None:
        raise CannotEdit(
            f"{node}: there is no {files.conf} on {commands.where}; nothing was changed",
            next="give the path of slurm.conf (gpu_drain_slurm_conf) and the host that has it (gpu_drain_slurm_host).",
        )
    devices = read_file(commands, files.gres)
    return (
        Edit(files.conf, conf, slurm_conf.node_gres(conf, node, gres, files.conf)),
        Edit(files.gres, devices, slurm_conf.gres_conf(devices or "", node, gres, files.gres)),
    )


def _put(commands: Commands, one: Edit) -> bool:
    return not one.changed or replace_file(commands, one.path, one.before, one.after)
