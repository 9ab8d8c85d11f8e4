"""Measuring over real SSH, on simulated nodes whose processes hold memory of known size."""

from __future__ import annotations

import getpass
import threading
import time
from typing import TYPE_CHECKING

from migprov.capacity.audit import audit as judged
from migprov.capacity.sources import live
from migprov.capacity.sources.live import Sampled
from migprov.capacity.usage import Labels, Usage, own_rows, workload_rows
from migprov.capacity.verdict import Thresholds
from migprov.connect.node import open_node
from migprov.fleet.inventory import open_inventory
from migprov.sim.driver import SimNode

from .command import audit

if TYPE_CHECKING:
    from conftest import FleetFactory  # type: ignore[import-not-found]

    from migprov.sim.nodes import Fleet

ME = getpass.getuser()
OVERHEAD_MIB = 9
"""A process makes a card use a little more than the process does."""
CUT = [{"devices": [1], "mig_enabled": True, "instances": [{"profile": "3g.40gb", "start": s} for s in (0, 4)]}]
QUICK = {"for_s": 0.9, "every_s": 0.1, "node_s": 120.0}


def _sample(fleet: Fleet, **options: object) -> Sampled:
    targets = open_inventory(str(fleet.inventory)).targets()
    return live.sample(targets, **{**QUICK, **options})  # type: ignore[arg-type]


def _by_name(rows: list[Usage]) -> dict[str, Usage]:
    return {row.name: row for row in rows}


def _voice(fleet: Fleet) -> None:
    """gpu1: a service on card 0, a container on the first half of card 1, nothing on the second; card 2 is idle."""
    sim = fleet.nodes[0].sim
    with open_node(open_inventory(str(fleet.inventory)).targets()[0]) as node:
        after = node.layout(CUT).after or {}
    halves = {one["start"]: one["compute_instances"][0]["uuid"] for one in after["gpus"][1]["instances"]}
    sim.hold(0, 9830, command="python3 serve.py", cgroup="0::/system.slice/asr.service")
    sim.hold(
        None, 13722, mig_uuid=halves[0], command="tritonserver", cgroup=f"0::/system.slice/docker-{'ab' * 32}.scope"
    )
    sim.hold(2, kind="monitor", command="dcgm-exporter")


def test_memory_of_cards_instances_and_workloads(make_fleet: FleetFactory) -> None:
    fleet = make_fleet(1, "3xA100-80GB")
    _voice(fleet)
    before = fleet.nodes[0].sim.write_count()
    found = _sample(fleet)
    assert fleet.nodes[0].sim.write_count() == before
    assert not any(result.failed for result in found.results.values())

    own = _by_name(own_rows(found.usages))
    assert set(own) == {"gpu1/0", "gpu1/1 3g.40gb at 0", "gpu1/1 3g.40gb at 4", "gpu1/2"}
    assert {name: row.memory_peak_mib for name, row in own.items()} == {
        "gpu1/0": 9830 + OVERHEAD_MIB,
        "gpu1/1 3g.40gb at 0": 13722 + OVERHEAD_MIB,
        "gpu1/1 3g.40gb at 4": 0,
        "gpu1/2": 0,
    }
    assert {(row.samples, row.covered) for row in own.values()} == {(10, 1.0)}
    assert [own[name].memory_total_mib for name in ("gpu1/0", "gpu1/1 3g.40gb at 0")] == [81920, 40192]
    # The driver tells the utilisation of whole cards only.
    assert [own[name].util_peak for name in ("gpu1/0", "gpu1/1 3g.40gb at 0")] == [0.0, None]

    at_work = {row.name: (row.workload, row.memory_peak_mib) for row in workload_rows(found.usages)}
    assert at_work == {
        "gpu1/0": (Labels(command="python3", user=ME, unit="asr.service"), 9830),
        "gpu1/1 3g.40gb at 0": (Labels(container="ab" * 32, command="tritonserver", user=ME), 13722),
    }

    verdicts = {f.usage.name: (f.verdict.kind, f.verdict.fits) for f in judged(found.usages).findings}
    assert verdicts == {
        "gpu1/0": ("hollow", "1g.20gb"),
        "gpu1/1 3g.40gb at 0": ("hollow", "1g.20gb"),
        "gpu1/1 3g.40gb at 4": ("idle", None),
        "gpu1/2": ("idle", None),
    }


def test_a_peak_between_others_and_a_workload_that_ends(make_fleet: FleetFactory) -> None:
    fleet = make_fleet(1, "1xA100-80GB")
    sim = fleet.nodes[0].sim
    first = sim.hold(0, 1000, command="base")
    stop, box = threading.Event(), list[Sampled]()
    thread = threading.Thread(
        target=lambda: box.append(_sample(fleet, for_s=600.0, every_s=0.05, stop=stop)), daemon=True
    )
    thread.start()
    try:
        _samples(sim, 2)
        peak = sim.hold(0, 60000, command="peak")
        _samples(sim, 3)
        peak.release()
        _samples(sim, 3)
    finally:
        stop.set()
        thread.join(120)
        first.release()
    rows = {str(row.workload): row for row in box[0].usages}
    assert rows["None"].memory_peak_mib == 61000 + OVERHEAD_MIB
    assert rows["None"].covered < 0.5
    assert (rows[f"peak ({ME})"].memory_peak_mib, rows[f"peak ({ME})"].current) == (60000, False)
    assert (rows[f"base ({ME})"].memory_peak_mib, rows[f"base ({ME})"].current) == (1000, True)
    assert rows[f"base ({ME})"].samples == rows["None"].samples > rows[f"peak ({ME})"].samples
    # Broken off after a part of the ten minutes: too little to judge by.
    assert [f.verdict.kind for f in judged(box[0].usages).findings] == ["unknown"]


def _samples(sim: SimNode, more: int) -> None:
    """Wait until so many more samples were taken: each asks once for the utilisation."""
    call, limit = "nvmlDeviceGetUtilizationRates", time.monotonic() + 90
    begun = sim.counters().get(call, 0)
    while sim.counters().get(call, 0) < begun + more:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_the_command_on_two_nodes_one_of_them_down(make_fleet: FleetFactory) -> None:
    fleet = make_fleet(2, "1xA100-80GB")
    fleet.nodes[0].sim.hold(0, 75000, command="train")
    fleet.nodes[1].stop()
    answer = audit("-i", fleet.inventory, "--for", "2", "--every", "0.5", "--min-samples", "3", "--json")
    assert answer.code == 4, answer.err
    full, down = answer.lines
    assert (full["host"], full["verdict"], full["usage"]["samples"]) == ("gpu1", "full", 5)
    assert (down["host"], down["error"]["code"]) == ("gpu2", "unreachable")
    assert "a peak at another time was not seen" in answer.err


def test_one_sample_is_no_verdict(make_fleet: FleetFactory) -> None:
    fleet = make_fleet(1, "1xA100-80GB")
    answer = audit("-i", fleet.inventory, "--for", "1", "--every", "1", "--json")
    assert answer.verdicts == {"gpu1/0": "unknown"}
    assert answer.lines[0]["reasons"][0].startswith("2 samples in 1")


def test_nothing_is_known_of_a_card_that_does_not_answer(make_fleet: FleetFactory) -> None:
    fleet = make_fleet(1, "2xA100-80GB")
    fleet.nodes[0].sim.fault(0, call="nvmlDeviceGetMemoryInfo", error="GPU_IS_LOST")
    found = judged(_sample(fleet).usages, Thresholds(min_samples=3))
    kinds = {finding.usage.gpu: finding.verdict.kind for finding in found.findings}
    assert kinds == {0: "unknown", 1: "idle"}
    assert (found.totals.cards, found.totals.left_out) == (2, 1)


def test_a_card_that_answers_late_has_one_row_and_an_instance_that_nobody_can_open_is_idle(
    make_fleet: FleetFactory,
) -> None:
    fleet = make_fleet(1, "3xA100-80GB")
    sim = fleet.nodes[0].sim
    bare = {"profile": "3g.40gb", "start": 4, "compute_instances": []}
    with open_node(open_inventory(str(fleet.inventory)).targets()[0]) as node:
        after = node.layout([{**CUT[0], "instances": [{"profile": "3g.40gb", "start": 0}, bare]}]).after or {}
    assert [len(one["compute_instances"]) for one in after["gpus"][1]["instances"]] == [1, 0]
    for index in (0, 1):
        sim.fault(index, call="nvmlDeviceGetMemoryInfo", error="UNKNOWN", times=1)
    found = judged(_sample(fleet).usages, Thresholds(min_samples=3))
    seen = [(one.usage.name, one.verdict.kind, one.usage.memory_total_mib) for one in found.findings]
    assert sorted(seen) == [
        ("gpu1/0", "idle", 81920),
        ("gpu1/1 3g.40gb at 0", "idle", 40192),
        ("gpu1/1 3g.40gb at 4", "idle", 40192),
        ("gpu1/2", "idle", 81920),
    ]
    assert found.totals.cards == 3
