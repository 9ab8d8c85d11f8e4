"""Slurm's lines for nodes as they are: gres.conf whole, slurm.conf with each node's `Gres=`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..fleet.slurm import conf
from ..fleet.slurm.devices import Gres
from ..fleet.slurm.errors import CannotEdit
from .errors import CannotRender
from .text import File


def files(nodes: Mapping[str, Gres], slurm_conf: str | None = None, gres_conf: str | None = None) -> list[File]:
    """gres.conf and slurm.conf. Where the files' present texts are given, they are edited and all else in them stays;
    without slurm.conf there are only the parts that go into the nodes' lines.

    Raises:
        CannotRender: no node has a GPU, or a text cannot be edited.
    """
    if not any(gres.items for gres in nodes.values()):
        raise CannotRender("no node has a GPU or MIG device that Slurm could hand out")
    devices = gres_conf or ""
    try:
        for node, gres in nodes.items():
            devices = conf.gres_conf(devices, node, gres, "gres.conf")
        return [File("gres.conf", devices), File("slurm.conf", _conf(nodes, slurm_conf))]
    except CannotEdit as error:
        raise CannotRender(error.message, next=error.next) from None


def _conf(nodes: Mapping[str, Gres], text: str | None) -> str:
    if text is not None:
        for node, gres in nodes.items():
            text = conf.node_gres(text, node, gres, "slurm.conf")
        return text
    said = ["# Parts for slurm.conf: what the line of each node has to have.", "GresTypes=gpu"]
    return "\n".join([*said, *(f"NodeName={node} Gres={','.join(gres.items)}" for node, gres in _with(nodes))]) + "\n"


def _with(nodes: Mapping[str, Gres]) -> Sequence[tuple[str, Gres]]:
    return [(node, gres) for node, gres in nodes.items() if gres.items]
