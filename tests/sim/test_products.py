"""Which GPUs there are, and how a node's are named."""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

from migprov.sim import build, products, state
from migprov.sim.driver import SimNode, product_names
from migprov.sim.errors import SimError


def test_both_sides_agree_on_the_state(loaded: Any) -> None:
    loaded.migprovSimStateSize.restype = ctypes.c_ulong
    assert loaded.migprovSimStateSize() == ctypes.sizeof(state.State)
    loaded.migprovSimCallName.restype = ctypes.c_char_p
    names = build.call_names()
    assert [loaded.migprovSimCallName(index).decode() for index in range(len(names))] == names
    assert loaded.migprovSimCallName(len(names)) is None


def test_the_functions_that_nvidia_ml_py_looks_up_are_those_of_a_real_driver(loaded: Any) -> None:
    recording = Path(__file__).parents[1] / "data" / "h200x2-mig-off-nvml.json"
    newer = set(json.loads(recording.read_text())["missing_functions"])
    source = Path(pynvml.__file__).read_text()
    wanted = set(re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', source))
    assert len(wanted) > 400
    assert {name for name in wanted if not hasattr(loaded, name)} == newer


def test_product_names() -> None:
    assert {"A30-24GB", "A100-40GB", "A100-80GB", "H100-80GB-SXM", "H200-141GB", "T4"} <= set(product_names())
    refused = products.refused()
    assert set(refused) == {"GH200-144GB", "B200-180GB", "GB200-186GB", "B300-288GB", "GB300-288GB"}
    assert not set(refused) & set(product_names())


@pytest.mark.parametrize("name", ["B200", "gb300", "GH200-144GB"])
def test_what_is_unknown_is_refused_by_name(make_node: Callable[..., SimNode], name: str) -> None:
    with pytest.raises(SimError, match=r"cannot be simulated: unknown are .*memory of [347]g"):
        make_node(f"1x{name}")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("3xA100-80GB", ["A100-80GB"] * 3),
        ("2xa100-40gb, 1xT4", ["A100-40GB", "A100-40GB", "T4"]),
        ("H100", ["H100-80GB-SXM"]),
        ("1xRTX-PRO-6000", ["RTX-PRO-6000-BLACKWELL-96GB"]),
    ],
)
def test_grammar(text: str, keys: list[str]) -> None:
    assert [product.key for product in products.parse(text)] == keys


@pytest.mark.parametrize("text", ["", "0xA30", "3x", "A999", "2xA30,", "99xT4", "-1xT4"])
def test_no_grammar(text: str) -> None:
    with pytest.raises(SimError):
        products.parse(text)


@pytest.mark.parametrize("name", product_names())
def test_every_product_answers(sim: Callable[..., Any], name: str) -> None:
    nvml = sim(f"1x{name}")
    gpu = nvml.gpu()
    row = products.find(name).row
    assert pynvml.nvmlDeviceGetName(gpu) == row["product_names"][0]
    assert pynvml.nvmlDeviceGetPciInfo(gpu).pciDeviceId >> 16 == int(row["pci_device_ids"][0], 16)
    assert pynvml.nvmlDeviceGetMemoryInfo(gpu).total == row["memory_total_mib"] << 20
    assert ".".join(map(str, pynvml.nvmlDeviceGetCudaComputeCapability(gpu))) == row["compute_capability"]
    assert set(nvml.profiles(gpu)) == {profile["name"] for profile in row["gi_profiles"]}


def test_identities(make_node: Callable[..., SimNode]) -> None:
    first, second = make_node("4xA100-80GB", name="one"), make_node("4xA100-80GB", name="two")
    gpus = first.show()["gpus"] + second.show()["gpus"]
    for key in ("uuid", "serial"):
        assert len({gpu[key] for gpu in gpus}) == 8
    assert len({gpu["pci_bus_id"] for gpu in first.show()["gpus"]}) == 4
    again = [make_node("4xA100-80GB", seed="same").show()["gpus"] for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("version", ["", "580", "580.x", "5800.1"])
def test_driver_versions(make_node: Callable[..., SimNode], version: str) -> None:
    if version:
        with pytest.raises(SimError, match="not a driver version"):
            make_node("1xT4", driver_version=version)
    else:
        assert make_node("1xT4").show()["driver_version"] == "580.159.04"
