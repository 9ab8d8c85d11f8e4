"""Rollback: back to what was, place by place."""

from __future__ import annotations

from .conftest import Machine, entry
from .test_journal import CREATE, die


def places(node: Machine, gpu: int = 0) -> tuple:
    """Mode, GPU instances and compute instances of a GPU, each with its place, as the driver has them."""
    card = node.sim.show()["gpus"][gpu]
    inner = [
        (gi["profile"], gi["start"], sorted((ci["start"], ci["size"]) for ci in gi["compute_instances"]))
        for gi in card["instances"]
    ]
    return card["mig_current"], card["mig_pending"], sorted(inner)


def test_nothing_to_go_back_from(machine):
    node = machine("1xA100-80GB")
    node.refused("rollback", "no_history")


def test_placements_come_back_not_only_counts(machine):
    node = machine("1xA100-80GB")
    three = {"profile": "3g.40gb", "start": 0}
    ones = [{"profile": "1g.10gb", "start": start} for start in (4, 6)]
    node.layout(three, *ones)
    before = places(node)
    node.layout("4g.40gb", "2g.20gb")
    assert places(node) != before
    planned = node.ok("rollback", check=True)
    reply = node.ok("rollback")
    assert reply["steps"] == planned["steps"]
    assert places(node) == before


def test_compute_instances_come_back_in_their_places(machine):
    node = machine("1xH100-80GB-SXM")
    inner = [{"profile": "2c.4g.40gb", "start": 2}, {"profile": "1c.4g.40gb", "start": 1}]
    node.layout({"profile": "4g.40gb", "start": 0, "compute_instances": inner}, "3g.40gb")
    before = places(node)
    assert before[2][1] == ("4g.40gb", 0, [(1, 1), (2, 2)])
    node.layout("4g.40gb", "3g.40gb")
    assert node.ok("rollback")["error"] is None
    assert places(node) == before


def test_an_instance_with_nothing_inside_comes_back_so(machine):
    node = machine("1xA100-80GB")
    node.layout({"profile": "3g.40gb", "start": 4, "compute_instances": []})
    before = places(node)
    node.layout("7g.80gb")
    node.ok("rollback")
    assert places(node) == before


def test_the_mode_comes_back_too(machine):
    for product in ("A100-80GB", "H100-80GB-SXM"):
        node = machine(f"2x{product}")
        whole = places(node)
        node.layout("3g.40gb", "3g.40gb", gpus=[0])
        node.ok("rollback")
        assert places(node) == whole
        assert node.sim.write_count() == len([w for w in node.sim.writes() if w["gpu"] == 0])
        # and on again, with all that was on it
        cut = node.layout("3g.40gb", "3g.40gb", gpus=[0])["after"]["gpus"][0]
        node.ok("layout", entries=[entry(enabled=False, gpus=[0])])
        node.ok("rollback")
        assert [gi["start"] for gi in cut["instances"]] == [start for _, start, _ in places(node)[2]]


def test_twice_is_forward_again(machine):
    node = machine("1xA100-80GB")
    node.layout("3g.40gb")
    first = places(node)
    node.layout("2g.20gb", "1g.10gb")
    second = places(node)
    node.ok("rollback")
    assert places(node) == first
    node.ok("rollback")
    assert places(node) == second


def test_a_rollback_that_did_not_end_well_is_taken_up_again_and_not_turned_round(machine):
    node = machine("2xH100-80GB-SXM")
    node.layout("7g.80gb", gpus=[0, 1])
    before = places(node, 0), places(node, 1)
    node.layout("3g.40gb", "3g.40gb", gpus=[0, 1])
    node.sim.fault(0, "nvmlComputeInstanceDestroy", "UNKNOWN")
    assert node.call("rollback")["error"]["code"] == "nvml"
    assert places(node, 0) != before[0]
    assert places(node, 1) == before[1]
    node.sim.clear_faults()
    die(node, CREATE, task="rollback")
    assert places(node, 0)[2] == []
    node.ok("rollback")
    assert (places(node, 0), places(node, 1)) == before


def test_after_a_run_that_died(machine):
    for late in (False, True):
        node = machine("1xA100-80GB")
        node.layout(*["1g.10gb"] * 7)
        before = places(node)
        die(node, CREATE, skip=1, late=late, entries=[entry("3g.40gb", "3g.40gb")])
        assert places(node) != before
        reply = node.ok("rollback")
        assert reply["data"]["interrupted"]["who"] == "asr@bastion"
        assert places(node) == before
        assert "interrupted" not in node.ok("info")["data"]


def test_work_in_the_way_is_refused_and_nothing_changes(machine):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    reply = node.layout("3g.40gb", "3g.40gb")
    pid = node.sim.hold(0, 512, mig_uuid=reply["after"]["gpus"][0]["instances"][0]["compute_instances"][0]["uuid"])
    error = node.refused("rollback", "gpu_busy")
    assert [holder["pid"] for holder in error["holders"]] == [pid]


def test_only_the_cards_of_the_last_change_go_back(machine):
    node = machine("2xA100-80GB")
    node.layout("7g.80gb", gpus=[1])
    node.layout("3g.40gb", "3g.40gb", gpus=[0])
    other = places(node, 1)
    node.sim.reset_counters()
    node.ok("rollback")
    assert places(node) == (False, False, [])
    assert places(node, 1) == other
    assert {write["gpu"] for write in node.sim.writes()} == {0}


def test_back_from_a_change_that_failed_half_way(machine):
    node = machine("1xH100-80GB-SXM")
    node.layout("7g.80gb")
    before = places(node)
    node.sim.fault(0, CREATE, "INSUFFICIENT_RESOURCES")  # taking back fails as well
    reply = node.layout("3g.40gb", "3g.40gb")
    assert reply["error"]["code"] == "nvml"
    assert places(node) != before
    node.sim.clear_faults()
    node.ok("rollback")
    assert places(node) == before


def test_a_change_that_changed_nothing_is_passed_over(machine):
    node = machine("1xH100-80GB-SXM")
    node.layout("3g.40gb")
    before = places(node)
    node.layout("7g.80gb")
    node.sim.fault(0, call="nvmlComputeInstanceDestroy", error=999, times=1)
    assert node.layout("4g.40gb")["error"]["code"] == "nvml"
    assert [change["changed"] for change in node.ok("history")["data"]["changes"]] == [True, True, False]
    assert node.ok("rollback")["error"] is None
    assert places(node) == before
