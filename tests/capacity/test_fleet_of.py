"""Nodes as they answered -> cards for the planner: what it may use, what it must leave alone, and why."""

from __future__ import annotations

from typing import Any

import pytest

from migprov.capacity import planner
from migprov.capacity.fleet_of import Fleet, Kept, as_product, fleet, in_use
from migprov.capacity.model import FleetCard, Instance, Place, Workload
from migprov.capacity.prices import Prices
from migprov.errors import BadRequest
from migprov.result import Result


def gpu(index: int, **fields: Any) -> dict[str, Any]:
    return {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": "NVIDIA A100-SXM4-80GB",
        "product": "A100-80GB",
        "mig_capable": True,
        "mig_current": False,
        "mig_pending": False,
        "instances": [],
        "processes": [],
        "error": None,
        **fields,
    }


def process(pid: int, gi_id: int | None = None, **fields: Any) -> dict[str, Any]:
    return {"pid": pid, "command": "python3", "user": "asr", "gi_id": gi_id, "unit": None, **fields}


def instance(gi_id: int, profile: str, start: int) -> dict[str, Any]:
    return {"gi_id": gi_id, "profile": profile, "start": start, "compute_instances": [{"profile": profile}]}


def node(host: str, *gpus: dict[str, Any]) -> Result:
    return Result(host, "info", after={"driver_version": "580", "gpus": list(gpus)})


def silent(host: str) -> Result:
    return Result(host, "info", error={"code": "unreachable", "message": f"{host}: no route to host."})


HALVES = {
    "mig_current": True,
    "instances": [instance(1, "3g.40gb", 4), instance(2, "3g.40gb", 0)],
}


def held(found: Fleet) -> list[str | None]:
    return [card.held for card in found.cards]


def test_cards_with_their_instances_and_prices() -> None:
    prices = Prices(of_host=lambda host: {"A100-80GB": 1.5} if host == "a" else "2.25")
    found = fleet([node("a", gpu(0, **HALVES)), node("b", gpu(0))], [], prices)
    assert found.cards == (
        FleetCard("a", 0, "A100-80GB", True, (Instance("3g.40gb", 0), Instance("3g.40gb", 4)), "GPU-0", 1.5),
        FleetCard("b", 0, "A100-80GB", uuid="GPU-0", price=2.25),
    )


def test_what_nobody_claims_holds_the_card() -> None:
    found = fleet([node("a", gpu(0, processes=[process(4242)]), gpu(1))], [])
    assert held(found) == ["process 4242 (python3, user asr) is not in the workloads file", None]


def test_what_a_workload_claims_does_not_by_index_or_uuid() -> None:
    seen = [node("a", gpu(0, processes=[process(1), process(2)]), gpu(1, processes=[process(3)]))]
    workload = Workload("asr", 1000, 2, runs_on=(Place("a", 0), Place("a", "GPU-1")))
    found = fleet(seen, [workload])
    assert held(found) == [None, None]
    assert in_use(found.cards, found.workloads) == {("a", 0), ("a", 1)}


def test_agents_hold_nothing() -> None:
    found = fleet([node("a", gpu(0, processes=[process(7, unit="nvidia-dcgm.service")]))], [])
    assert held(found) == [None]


def test_memory_of_work_that_is_out_of_sight_holds_the_card() -> None:
    agent = process(7, unit="nvidia-dcgm.service", memory_mib=300)
    seen = [
        gpu(0, memory_used_mib=9830),
        gpu(1, memory_used_mib=428, processes=[agent]),
        gpu(2, memory_used_mib=4),
        gpu(3, memory_used_mib=9830),
        gpu(4, memory_used_mib=200, **HALVES),
    ]
    found = fleet([node("a", *seen)], [Workload("asr", 1000, runs_on=(Place("a", 3),))])
    assert held(found) == ["9830 MiB of it are in use by nobody that was seen", None, None, None, None]


def test_each_instance_needs_its_own_claim() -> None:
    seen = [node("a", gpu(0, **HALVES, processes=[process(1, gi_id=1), process(2, gi_id=2)]))]
    one = Workload("asr", 1000, runs_on=(Place("a", 0, 4),))
    found = fleet(seen, [one])
    assert held(found) == ["process 2 (python3, user asr) is not in the workloads file"]
    # The one that is known stays where it is: its card cannot be planned with.
    assert found.kept == (Kept("asr", Place("a", 0, 4), held(found)[0] or ""),)
    assert (found.workloads[0].replicas, found.workloads[0].runs_on) == (0, ())
    both = Workload("asr", 1000, 2, runs_on=(Place("a", 0, 4), Place("a", 0, 0)))
    assert held(fleet(seen, [both])) == [None]


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (["1c.3g.40gb", "2c.3g.40gb"], "is divided into compute instances (1c.3g.40gb, 2c.3g.40gb)"),
        (["2c.3g.40gb"], "is divided into compute instances (2c.3g.40gb)"),
        ([], "has no compute instance"),
    ],
)
def test_instances_that_are_not_one_device_each_stay_as_they_are(compute: list[str], words: str) -> None:
    odd = {**instance(2, "3g.40gb", 0), "compute_instances": [{"profile": each} for each in compute]}
    place = Place("a", 0, 4)
    found = fleet(
        [node("a", gpu(0, mig_current=True, instances=[instance(1, "3g.40gb", 4), odd]))],
        [Workload("asr", 100, runs_on=(place,))],
    )
    (why,) = held(found)
    assert why is not None and why.startswith(f"its 3g.40gb at 0 {words}")
    assert found.kept == (Kept("asr", place, why),)


def test_a_profile_by_the_name_that_the_driver_gives_it() -> None:
    gb200 = {"product": "GB200-186GB", "name": "NVIDIA GB200", "mig_current": True}
    known, unknown = instance(7, "1g.24gb", 0), instance(7, "1g.99gb", 0)
    found = fleet([node("a", gpu(0, **gb200, instances=[known]), gpu(1, **gb200, instances=[unknown]))], [])
    assert [card.instances for card in found.cards] == [(Instance("1g.23gb", 0),), (Instance("1g.99gb", 0),)]
    assert held(found) == [None, "its 1g.99gb at 0 is not in the product table"]
    plan = planner.plan([Workload("asr", 9000, runs_on=(Place("a", 0, 0),))], found.cards)
    assert (plan.changed, plan.moved, plan.used.value) == ((), 0, 1)


def test_a_process_of_an_unknown_instance_is_covered_only_by_all() -> None:
    seen = [node("a", gpu(0, **HALVES, processes=[process(1)]))]
    assert held(fleet(seen, [Workload("x", 1, runs_on=(Place("a", 0, 4),))])) != [None]
    assert held(fleet(seen, [Workload("x", 1, 2, runs_on=(Place("a", 0, 4), Place("a", 0, 0)))])) == [None]


def test_cards_that_do_not_answer_have_no_mig_or_are_unknown() -> None:
    seen = [
        node(
            "a",
            gpu(0, error={"code": "gpu_lost", "message": "GPU is lost"}),
            gpu(1, name="Tesla T4", product=None, mig_capable=False),
            gpu(2, name="NVIDIA Z1", product=None),
            gpu(3, mig_capable=False),
        )
    ]
    found = fleet(seen, [Workload("old", 1, runs_on=(Place("a", 1),))])
    assert [(card.index, card.held) for card in found.cards] == [
        (0, "it does not answer: GPU is lost"),
        (3, "its driver says that it has no MIG here"),
    ]
    assert found.notes == (
        "a/1 is left out: Tesla T4 has no MIG",
        "a/2 is left out: the product table does not have NVIDIA Z1",
    )
    assert [each.workload for each in found.kept] == ["old"]


def test_a_silent_node_is_left_out_and_its_work_stays() -> None:
    workload = Workload("asr", 1000, 3, runs_on=(Place("gone", 0), Place("a", 0)), most_per_node=1)
    found = fleet([node("a", gpu(0)), silent("gone")], [workload])
    assert [card.name for card in found.cards] == ["a/0"]
    assert found.workloads[0].replicas == 2
    assert found.workloads[0].runs_on == (Place("a", 0),)
    assert found.kept == (Kept("asr", Place("gone", 0), "gone did not answer: no route to host"),)
    assert found.notes[0] == "gone is left out: no route to host"
    assert "most-per-node" in found.notes[1]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place("gpu11", 0), "no node gpu11 was asked. Next: did you mean gpu1?"),
        (Place("gpu1", 5), "which is not there. Next: the GPUs of gpu1 are: 0"),
        (Place("gpu1", "GPU-9"), "which is not there"),
    ],
)
def test_a_place_that_is_not_there(place: Place, words: str) -> None:
    with pytest.raises(BadRequest) as error:
        fleet([node("gpu1", gpu(0))], [Workload("asr", 1, runs_on=(place,))])
    assert words in str(error.value)


def test_what_if_all_were_another_product() -> None:
    seen = [node("a", gpu(0, **HALVES), gpu(1, processes=[process(1)]))]
    found = fleet(seen, [Workload("asr", 1, runs_on=(Place("a", 0, 4),))])
    other = as_product(found, "H200-141GB", Prices(by_product={"H200-141GB": 3.5}))
    assert [(card.product, card.mig, card.instances, card.price) for card in other.cards] == [
        ("H200-141GB", False, (), 3.5)
    ] * 2
    assert held(other) == held(found)
    assert other.workloads[0].runs_on == ()
    with pytest.raises(BadRequest, match="Did you mean H200-141GB"):
        as_product(found, "H200-141", Prices())


@pytest.mark.parametrize("price", ["dear", -1, float("nan"), True, [2]])
def test_a_price_that_is_none(price: object) -> None:
    with pytest.raises(BadRequest, match="a: mig_gpu_price must be the price of a card"):
        fleet([node("a", gpu(0))], [], Prices(of_host=lambda _host: price))
