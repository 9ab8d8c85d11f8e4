"""`info` with the device files of instances."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import Machine

VOICE = {"devices": [1], "mig_enabled": True, "device_filter": None, "source": "here"}


def _cut(machine: Callable[..., Machine]) -> Machine:
    node = machine("2xA100-80GB")
    wanted = [
        {"profile": "3g.40gb", "start": 0, "compute_instances": None},
        {
            "profile": "3g.40gb",
            "start": 4,
            "compute_instances": [{"profile": "1c.3g.40gb", "start": None}, {"profile": "2c.3g.40gb", "start": None}],
        },
    ]
    node.ok("layout", entries=[{**VOICE, "instances": wanted}])
    return node


def test_minors_of_every_instance_by_the_drivers_numbering(machine: Callable[..., Machine]) -> None:
    node = _cut(machine)
    reply = node.ok("info", caps=True)
    for gi in reply["after"]["gpus"][1]["instances"]:
        first = 3 + 135 * 1 + 9 * gi["gi_id"]
        assert gi["cap_minor"] == first
        assert [ci["cap_minor"] for ci in gi["compute_instances"]] == [
            first + 1 + ci["ci_id"] for ci in gi["compute_instances"]
        ]


def test_without_being_asked_nothing_is_told(machine: Callable[..., Machine]) -> None:
    node = _cut(machine)
    assert "cap_minor" not in json.dumps(node.ok("info"))


def test_null_where_the_driver_does_not_tell(machine: Callable[..., Machine]) -> None:
    node = _cut(machine)
    file = Path(node.sim.env()["MIGPROV_PROC"]) / "driver" / "nvidia-caps" / "mig-minors"
    file.write_text("config 1\ngpu1/gi1/access many\ngpu1/gi1/access\n")
    found = node.ok("info", caps=True)["after"]["gpus"][1]["instances"]
    assert [gi["cap_minor"] for gi in found] == [None, None]
    file.unlink()
    found = node.ok("info", caps=True)["after"]["gpus"][1]["instances"]
    assert [ci["cap_minor"] for gi in found for ci in gi["compute_instances"]] == [None, None, None]
