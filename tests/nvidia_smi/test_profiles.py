"""The tables of NVIDIA's program against the project's own table of MIG geometry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import ROOT, Machine

PRODUCTS: dict[str, dict[str, Any]] = {
    product["key"]: product
    for product in json.loads((ROOT / "migprov" / "mig" / "geometry.json").read_text())["products"]
}
ABLE = ["A30-24GB", "A100-40GB", "A100-80GB", "H100-80GB-SXM", "H200-141GB"]


@pytest.fixture(params=ABLE)
def product(request: pytest.FixtureRequest) -> dict[str, Any]:
    return PRODUCTS[request.param]


@pytest.fixture
def cut(machine: Callable[..., Machine], product: dict[str, Any]) -> Machine:
    """One GPU of the product, MIG on."""
    made = machine(f"1x{product['key']}")
    made.did("-mig", "1")
    return made


def profile_row(profile: dict[str, Any]) -> list[str]:
    """The words of `-lgip`'s row: the second line is copy engines, JPEG, OFA."""
    numbers = [profile[name] for name in ("sm_count", "decoders", "encoders", "copy_engines", "jpeg", "ofa")]
    count, memory = profile["max_instances"], f"{profile['memory_mib'] / 1024:.2f}"
    head = ["0", "MIG", profile["name"], str(profile["profile_id"]), f"{count}/{count}", memory, "No"]
    return [*head, *map(str, numbers)]


def test_gpu_instance_profiles(cut: Machine, product: dict[str, Any]) -> None:
    assert sorted(cut.rows("mig", "-lgip")) == sorted(profile_row(each) for each in product["gi_profiles"])


def test_placements(cut: Machine, product: dict[str, Any]) -> None:
    said = cut.did("mig", "-lgipp")
    lines = re.findall(r"^GPU  0 Profile ID +(\d+) Placements? ?: \{([\d,]+)\}:(\d+)$", said, re.MULTILINE)
    found = {int(number): ([int(start) for start in starts.split(",")], int(size)) for number, starts, size in lines}
    assert len(found) == len(said.splitlines())
    assert found == {
        each["profile_id"]: (each["placement_starts"], each["placement_size"]) for each in product["gi_profiles"]
    }


def test_compute_instance_profiles(cut: Machine, product: dict[str, Any]) -> None:
    """Of the largest GPU instance; the star marks the one that spans it."""
    whole = max(product["gi_profiles"], key=lambda each: (each["slice_count"], -each["profile_id"]))
    cut.did("mig", "-cgi", whole["name"])
    rows = cut.rows("mig", "-lcip")
    assert len(rows) == len(whole["ci_profiles"]) > 2
    for row, each in zip(rows, whole["ci_profiles"], strict=True):
        spans = each["slice_count"] == whole["slice_count"]
        name = whole["name"] if spans else f"{each['slice_count']}c.{whole['name']}"
        assert row[3:5] == [name, f"{each['profile_id']}*" if spans else str(each["profile_id"])]
        assert each["sm_count"] in (None, int(row[6]))


def test_summary_of_a_cut_card(cut: Machine, product: dict[str, Any]) -> None:
    """The table of MIG devices: memory, BAR1, SMs, errors, and the engines that the instance has."""
    profile = max(product["gi_profiles"], key=lambda each: each["max_instances"])
    cut.did("mig", "-cgi", str(profile["profile_id"]), "-C")
    (instance,) = cut.node.show()["gpus"][0]["instances"]
    bar1 = 1 << (product["memory_total_mib"] - 1).bit_length()
    share = bar1 // product["memory_slices"] * profile["placement_size"] - 1
    engines = [profile[name] for name in ("copy_engines", "encoders", "decoders", "ofa", "jpeg")]
    memory = f"0MiB / {profile['memory_mib']}MiB {profile['sm_count']} 0"
    expected = f"0 {instance['gi_id']} 0 0 {memory} {' '.join(map(str, engines))} 0MiB / {share}MiB"
    assert [row for row in cut.rows() if len(row) > 15 and row[1].isdigit()] == [expected.split()]
