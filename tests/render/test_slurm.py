"""Slurm's files for several nodes."""

from __future__ import annotations

import pytest

from migprov.fleet.slurm.devices import Device, Gres
from migprov.render import gres, slurm
from migprov.render.errors import CannotRender

_A100 = {"name": "NVIDIA A100-SXM4-80GB", "product": "A100-80GB", "device_id": "0x20B210DE", "error": None}
_HALF = {"gi_id": 1, "profile": "3g.40gb", "profile_id": 9, "compute_instances": [{"profile": "3g.40gb"}]}
CARDS = [
    {**_A100, "index": 0, "uuid": "GPU-0", "minor": 0, "mig_current": False, "instances": []},
    {**_A100, "index": 1, "uuid": "GPU-1", "minor": 1, "mig_current": True, "instances": [_HALF]},
]
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


@pytest.mark.parametrize("kind", ["x File=/dev/null", "a,b", "a:b", "a\nNodeName=evil", "#", "a(", "é", "a=b", "a+b"])
def test_a_type_that_would_end_its_line_otherwise(kind: str) -> None:
    for render in (gres.explicit, gres.autodetect):
        with pytest.raises(CannotRender, match="cannot be what Slurm calls cards"):
            render(CARDS, type=kind)


def test_a_type_that_slurmd_does_not_find() -> None:
    assert gres.autodetect(CARDS, type="A100").items == ("gpu:A100:1", "gpu:A100_3g.39gb:1")
    for kind, found in (("h200", "nvidia_a100-sxm4-80gb"), ("sxm4", "nvidia_a100_3g.39gb")):
        with pytest.raises(CannotRender, match=f"slurmd finds {found}, and {kind}"):
            gres.autodetect(CARDS, type=kind)
