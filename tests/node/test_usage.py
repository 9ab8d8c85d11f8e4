"""The task usage: one sample of what is used, on the oldest Python that nodes may have too."""

from __future__ import annotations

from collections.abc import Callable

from .conftest import Machine, entry


def test_a_whole_card_and_instances(machine: Callable[..., Machine]) -> None:
    node = machine("2xA100-80GB")
    reply = node.ok("layout", entries=[entry("3g.40gb", "1g.10gb", gpus=[0]), entry(gpus=[1], enabled=False)])
    instances = {one["profile"]: one for one in reply["after"]["gpus"][0]["instances"]}
    node.sim.hold(None, 3000, mig_uuid=instances["3g.40gb"]["compute_instances"][0]["uuid"])
    node.sim.hold(1, 70000)
    before = node.sim.write_count()
    reply = node.ok("usage")
    assert node.sim.write_count() == before
    cut, whole = reply["data"]["usage"]
    assert (cut["gpu"], cut["busy_percent"], whole["gpu"], whole["busy_percent"]) == (0, None, 1, 0)
    assert whole["instances"] == []
    # A process makes a device use a little more than the process does.
    assert {one["gi_id"]: (one["memory_mib"], one["memory_used_mib"]) for one in cut["instances"]} == {
        instances["3g.40gb"]["gi_id"]: (40192, 3009),
        instances["1g.10gb"]["gi_id"]: (9728, 0),
    }
    assert [gpu["memory_used_mib"] for gpu in reply["after"]["gpus"]] == [3009, 70009]


def test_a_gpu_that_is_lost_and_an_instance_that_nobody_can_open(machine: Callable[..., Machine]) -> None:
    node = machine("2xA100-80GB")
    node.ok("layout", entries=[entry("3g.40gb", gpus=[0]), entry(gpus=[1], enabled=False)])
    (instance,) = node.sim.show()["gpus"][0]["instances"]
    node.sim.fault(1, lost=True)
    with_all = node.ok("usage")["data"]["usage"]
    assert [one["gpu"] for one in with_all] == [0]
    assert with_all[0]["instances"][0]["gi_id"] == instance["gi_id"]
