"""NVIDIA's program cuts cards, migprov sees it, and the other way round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from .conftest import Machine

GI = "Successfully created GPU instance ID {:2} on GPU  {} using profile MIG {} (ID {:2})"
CI = "Successfully created compute instance ID  0 on GPU  {} GPU instance ID {:2} using profile MIG {} (ID {:2})"


def migprov(machine: Machine, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("migprov")), *arguments, "--local", "--json"],
        env={**os.environ, **machine.node.env()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def instances(state: dict[str, Any], gpu: int) -> list[tuple[str, int, int]]:
    """Profile, first slice and id, as migprov tells them."""
    return sorted((each["profile"], each["start"], each["gi_id"]) for each in state["gpus"][gpu]["instances"])


def test_two_halves_by_number(machine: Callable[..., Machine]) -> None:
    """Two 3g.40gb of an A100-80GB are 9,9: 19 is 1g.10gb."""
    three = machine("3xA100-80GB", rotated=False)
    assert three.did("-i", "1", "-mig", "1") == "Enabled MIG Mode for GPU 00000000:0F:00.0\nAll done.\n"
    assert three.did("mig", "-i", "1", "-cgi", "9,9", "-C").splitlines() == [
        GI.format(2, 1, "3g.40gb", 9),
        CI.format(1, 2, "3g.40gb", 2),
        GI.format(1, 1, "3g.40gb", 9),
        CI.format(1, 1, "3g.40gb", 2),
    ]
    assert [three.placements(gpu) for gpu in range(3)] == [[], [("3g.40gb", 0), ("3g.40gb", 4)], []]
    state = migprov(three, "info")["after"]
    assert instances(state, 1) == [("3g.40gb", 0, 1), ("3g.40gb", 4, 2)]
    uuids = [ci["uuid"] for each in state["gpus"][1]["instances"] for ci in each["compute_instances"]]
    assert len(set(uuids)) == 2 and all(f"(UUID: {uuid})" in three.did("-L") for uuid in uuids)


def test_what_19_19_makes(machine: Callable[..., Machine]) -> None:
    one = machine("1xA100-80GB")
    one.did("-mig", "1")
    one.did("mig", "-cgi", "19,19", "-C")
    assert [profile for profile, _ in one.placements()] == ["1g.10gb", "1g.10gb"]
    memory = [row for row in one.rows() if len(row) > 9 and row[6] == "9728MiB"]
    assert len(memory) == 2


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("3g.40gb,3g.40gb", [("3g.40gb", 0), ("3g.40gb", 4)]),
        ("MIG 4g.40gb,9", [("3g.40gb", 4), ("4g.40gb", 0)]),
        ("9:0", [("3g.40gb", 0)]),
        ("9:4,14:2,19:1", [("1g.10gb", 1), ("2g.20gb", 2), ("3g.40gb", 4)]),
        ("1g.10gb+me:6,3g.40gb:0", [("1g.10gb+me", 6), ("3g.40gb", 0)]),
        ("7g.80gb", [("7g.80gb", 0)]),
    ],
)
def test_names_ids_and_placements(machine: Callable[..., Machine], asked: str, expected: list[tuple[str, int]]) -> None:
    one = machine("1xA100-80GB")
    one.did("-mig", "1")
    one.did("mig", "-cgi", asked)
    assert one.placements() == expected
    rows = [(row[2], int(row[5].split(":")[0])) for row in one.rows("mig", "-lgi")]
    assert sorted(rows) == expected


@pytest.mark.parametrize(
    ("rotated", "ids"), [(False, [13, 11, 12, 7, 8, 9, 10]), (True, [9, 7, 8, 11, 12, 13, 14])], ids=["SXM", "PCIe"]
)
def test_seven(machine: Callable[..., Machine], rotated: bool, ids: list[int]) -> None:
    """In the order that was recorded of H100s; listed by id."""
    one = machine("1xH100-80GB-SXM", rotated=rotated)
    one.did("-mig", "1")
    said = one.did("mig", "-cgi", ",".join(["19"] * 7), "-C").splitlines()
    made = [line for each in ids for line in (GI.format(each, 0, "1g.10gb", 19), CI.format(0, each, "1g.10gb", 0))]
    assert said == made
    assert [int(row[4]) for row in one.rows("mig", "-lgi")] == sorted(ids)
    assert [int(row[1]) for row in one.rows("mig", "-lci")] == sorted(ids)


def test_a_list_that_does_not_fit_leaves_what_came_before(machine: Callable[..., Machine]) -> None:
    """As recorded of an A100: the ids, the end, and that the three stay."""
    one = machine("1xA100-40GB", rotated=False)
    one.did("-mig", "1")
    answer = one.smi("mig", "-cgi", "19,19,14,9")
    assert answer.code == 23
    assert answer.text.splitlines() == [
        GI.format(13, 0, "1g.5gb", 19),
        GI.format(11, 0, "1g.5gb", 19),
        GI.format(3, 0, "2g.10gb", 14),
        "Unable to create a GPU instance on GPU  0 using profile 9: Insufficient Resources",
        "Failed to create GPU instances: Insufficient Resources",
    ]
    assert len(one.placements()) == 3


def test_compute_instances(machine: Callable[..., Machine]) -> None:
    """Made by name, by number and without either; listed; destroyed one by one."""
    two = machine("2xA100-80GB", rotated=False)
    two.did("-mig", "1")
    two.did("mig", "-i", "1", "-cgi", "9:0,9:4")
    two.did("mig", "-i", "1", "-gi", "1", "-cci", "1c.3g.40gb,0")
    two.did("mig", "-i", "1", "-gi", "2", "-cci")
    assert two.rows("mig", "-lci") == [
        ["1", "1", "MIG", "1c.3g.40gb", "0", "0", "0:1"],
        ["1", "1", "MIG", "1c.3g.40gb", "0", "1", "1:1"],
        ["1", "2", "MIG", "3g.40gb", "2", "0", "0:3"],
    ]
    names = [each["profile"] for gi in two.node.show()["gpus"][1]["instances"] for each in gi["compute_instances"]]
    assert sorted(names) == ["1c.3g.40gb", "1c.3g.40gb", "3g.40gb"]
    assert two.did("-L").count("MIG 1c.3g.40gb  Device") == 2
    assert two.rows("mig", "-lcip", "-gi", "1")[0][5] == "1/3"
    refused = two.smi("mig", "-i", "1", "-dgi", "-gi", "1")
    assert (refused.code, refused.text.splitlines()[0]) == (
        19,
        "Unable to destroy GPU instance ID  1 from GPU  1: In use by another client",
    )
    two.did("mig", "-i", "1", "-dci", "-gi", "1", "-ci", "0")
    assert len(two.rows("mig", "-lci")) == 2
    assert two.did("mig", "-dci").splitlines() == [
        "Successfully destroyed compute instance ID  1 from GPU  1 GPU instance ID  1",
        "Successfully destroyed compute instance ID  0 from GPU  1 GPU instance ID  2",
    ]
    two.did("mig", "-i", "1", "-dgi", "-gi", "2")
    assert two.placements(1) == [("3g.40gb", 0)]
    two.did("mig", "-dgi")
    assert two.placements(1) == []


def test_what_migprov_made(machine: Callable[..., Machine], tmp_path: Path) -> None:
    """A layout of migprov's, seen, changed behind its back, and put right."""
    layout = tmp_path / "layouts.yml"
    layout.write_text(
        "version: v1\nmig-configs:\n  voice:\n    - devices: [0]\n      mig-enabled: true\n"
        "      mig-devices:\n        2g.20gb: 2\n        3g.40gb: 1\n"
    )
    one = machine("1xA100-80GB", rotated=False)
    made = migprov(one, "apply", str(layout), "voice")
    wanted = [("2g.20gb", 14), ("2g.20gb", 14), ("3g.40gb", 9)]
    assert sorted((row[2], int(row[3])) for row in one.rows("mig", "-lgi")) == wanted
    assert sorted(row[3] for row in one.rows("mig", "-lci")) == ["2g.20gb", "2g.20gb", "3g.40gb"]
    one.did("mig", "-dci", "-gi", "3")
    one.did("mig", "-dgi", "-gi", "3")
    assert len(one.rows("mig", "-lgi")) == 2
    again = migprov(one, "apply", str(layout), "voice")
    assert [step["action"] for step in again["steps"]] == ["create_gpu_instance", "create_compute_instance"]
    assert instances(again["after"], 0) == instances(made["after"], 0)
    assert len(one.rows("mig", "-lgi")) == 3


def test_xml(machine: Callable[..., Machine]) -> None:
    """MIG devices in `-q -x`, two of one GPU instance among them."""
    two = machine("1xT4,1xH100-80GB-SXM", rotated=False)
    two.did("-mig", "1")
    two.did("mig", "-cgi", "3g.40gb:0,1g.10gb:4")
    two.did("mig", "-gi", "1", "-cci", "1,0")
    two.did("mig", "-gi", "11", "-cci")
    plain, cut = ElementTree.fromstring(two.did("-q", "-x")).iter("gpu")
    assert [gpu.findtext("mig_mode/current_mig") for gpu in (plain, cut)] == ["N/A", "Enabled"]
    names = ("index", "gpu_instance_id", "compute_instance_id")
    shared = "device_attributes/shared/multiprocessor_count"
    rows = [
        [device.findtext(name) for name in (*names, shared, "fb_memory_usage/total")]
        for device in cut.iter("mig_device")
    ]
    assert rows == [
        ["0", "1", "0", "32", "40448 MiB"],
        ["1", "1", "1", "16", "40448 MiB"],
        ["2", "11", "0", "16", "9984 MiB"],
    ]
    assert plain.findtext("mig_devices", "").strip() == "None"


def test_no_longer_cut(machine: Callable[..., Machine]) -> None:
    one = machine("1xA100-80GB")
    one.did("-mig", "1")
    one.did("mig", "-cgi", "9", "-C")
    answer = one.smi("-mig", "0")
    assert (
        "Warning: MIG mode is in pending disable state for GPU 00000000:07:00.0:In use by another client" in answer.text
    )
    one.did("mig", "-dci")
    one.did("mig", "-dgi")
    assert one.did("-mig", "0") == "Disabled MIG Mode for GPU 00000000:07:00.0\nAll done.\n"
    assert one.did("--query-gpu=mig.mode.current,mig.mode.pending", "--format=csv,noheader") == "Disabled, Disabled\n"
