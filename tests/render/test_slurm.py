"""Slurm's files for several nodes."""

from __future__ import annotations

import pytest

from migprov.fleet.slurm.devices import Device, Gres
from migprov.render import slurm
from migprov.render.errors import CannotRender

NODES = {
    "gn0": Gres((Device("a100", ("/dev/nvidia0",)),)),
    "gn1": Gres((Device("a100_3g.40gb", ("/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap1")),)),
}


def test_every_node_has_its_lines() -> None:
    devices, conf = slurm.files(NODES)
    assert [line for line in devices.text.splitlines() if line and not line.startswith("#")] == [
        "NodeName=gn0 Name=gpu Type=a100 File=/dev/nvidia0",
        "NodeName=gn1 Name=gpu Type=a100_3g.40gb MultipleFiles=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap1",
    ]
    assert conf.text.splitlines()[1:] == [
        "GresTypes=gpu",
        "NodeName=gn0 Gres=gpu:a100:1",
        "NodeName=gn1 Gres=gpu:a100_3g.40gb:1",
    ]


def test_what_cannot_be_rendered() -> None:
    with pytest.raises(CannotRender, match="no node has a GPU"):
        slurm.files({"gn0": Gres(())})
    with pytest.raises(CannotRender, match="gn0"):
        slurm.files(NODES, "NodeName=other\n")
