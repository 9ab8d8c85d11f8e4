"""State -> what the node is to offer: pure, so it runs everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from migprov.fleet.kubernetes.resources import differences, offer


def gpu(*instances: tuple[str, ...], mig: bool | None = None, **more: Any) -> dict[str, Any]:
    """A GPU of a State; each instance is the profiles of its compute instances."""
    made = [{"compute_instances": [{"profile": ci} for ci in one]} for one in instances]
    return {
        "index": 0,
        "mig_current": bool(instances) if mig is None else mig,
        "instances": made,
        "error": None,
        **more,
    }


WHOLE = gpu()
HALVES = gpu(("3g.40gb",), ("3g.40gb",))
MIXED = gpu(("3g.40gb",), ("1g.10gb+me",), ("1g.10gb",))
SPLIT = gpu(("1c.3g.40gb", "2c.3g.40gb"))


@pytest.mark.parametrize(
    ("strategy", "gpus", "counts"),
    [
        ("none", [WHOLE, HALVES], {"nvidia.com/gpu": 2}),
        ("single", [WHOLE, WHOLE], {"nvidia.com/gpu": 2}),
        ("single", [HALVES, HALVES], {"nvidia.com/gpu": 4}),
        ("mixed", [WHOLE, HALVES], {"nvidia.com/gpu": 1, "nvidia.com/mig-3g.40gb": 2}),
        (
            "mixed",
            [MIXED],
            {"nvidia.com/mig-3g.40gb": 1, "nvidia.com/mig-1g.10gb.me": 1, "nvidia.com/mig-1g.10gb": 1},
        ),
        ("mixed", [SPLIT], {"nvidia.com/mig-1c.3g.40gb": 1, "nvidia.com/mig-2c.3g.40gb": 1}),
        ("mixed", [WHOLE, {"index": 1, "error": {"code": "gpu_lost", "message": "x"}}], {"nvidia.com/gpu": 1}),
        ("mixed", [], {}),
    ],
)
def test_what_the_device_plugin_offers(strategy: str, gpus: list[dict[str, Any]], counts: dict[str, int]) -> None:
    found = offer(gpus, strategy)
    assert (found.trouble, found.counts) == ("", counts)


@pytest.mark.parametrize(
    ("strategy", "gpus", "why"),
    [
        ("single", [WHOLE, HALVES], "on all GPUs of a node or on none"),
        ("single", [MIXED], "of one kind, these are 1g.10gb, 1g.10gb+me, 3g.40gb"),
        ("single", [gpu(mig=True)], "without a MIG device"),
        ("mixed", [HALVES, gpu(mig=True)], "without a MIG device"),
        ("mixed", [gpu((), mig=True)], "without a MIG device"),
    ],
)
def test_layouts_that_the_device_plugin_cannot_offer(strategy: str, gpus: list[Any], why: str) -> None:
    found = offer(gpus, strategy)
    assert why in found.trouble
    assert found.counts == {}


MIG = "nvidia.com/mig-3g.40gb"


@pytest.mark.parametrize(
    ("wanted", "allocatable", "labels", "found"),
    [
        ({MIG: 2}, {MIG: 2}, {}, []),
        ({MIG: 2}, {MIG: 2, "nvidia.com/gpu": 0}, {}, []),
        ({MIG: 2}, {}, {}, [f"{MIG}: 2 wanted, 0 there"]),
        ({MIG: 2}, {MIG: 2, "nvidia.com/gpu": 1}, {}, ["nvidia.com/gpu: 0 wanted, 1 there"]),
        ({}, {"nvidia.com/mig-1g.10gb": 7}, {}, ["nvidia.com/mig-1g.10gb: 0 wanted, 7 there"]),
        # What others offer under NVIDIA's name is none of ours.
        ({MIG: 2}, {MIG: 2, "nvidia.com/hostdev": 4}, {}, []),
        # Shared by time slices or MPS.
        ({MIG: 2}, {MIG: 8}, {f"{MIG}.replicas": "4"}, []),
        ({MIG: 2}, {MIG: 8}, {}, [f"{MIG}: 2 wanted, 8 there"]),
        ({MIG: 2}, {f"{MIG}.shared": 8}, {}, []),
        ({MIG: 2}, {f"{MIG}.shared": 7}, {}, [f"{MIG}: 2 wanted, 7 there"]),
        ({}, {"nvidia.com/gpu.shared": 4}, {}, ["nvidia.com/gpu: 0 wanted, 4 there"]),
    ],
)
def test_differences(
    wanted: dict[str, int], allocatable: dict[str, int], labels: dict[str, str], found: list[str]
) -> None:
    assert differences(wanted, allocatable, labels) == found
