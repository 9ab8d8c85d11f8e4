"""Plans as files: layouts, inventories, JSON; and that the same input gives the same bytes."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from migprov.capacity import plan_json, planning
from migprov.capacity.explain import explanations
from migprov.capacity.model import FleetCard, Place, Workload
from migprov.capacity.planning import Options, Planned
from migprov.capacity.prices import Prices
from migprov.fleet.inventory import open_inventory
from migprov.layouts import loads

PIPELINE = (
    Workload("language-model", 74957, runs_on=(Place("gpu1", 0),)),
    Workload("speech-to-text", 9831, runs_on=(Place("gpu1", 1),)),
    Workload("text-to-speech", 13722, runs_on=(Place("gpu1", 2),)),
)
THREE = tuple(FleetCard("gpu1", index, "A100-80GB") for index in range(3))


def pipeline(**options: object) -> Planned:
    return planning.of_cards(PIPELINE, THREE, Options(**options))  # type: ignore[arg-type]


def test_the_voice_pipeline_frees_a_card_and_shows_the_choice() -> None:
    planned = pipeline(prices=Prices(for_all=2.0))
    assert [card.name for card in planned.freed] == ["gpu1/2"]
    (one,) = explanations(planned.plan, planned.workloads)
    ways = {way.pattern: way for way in one.ways}
    assert one.chosen == ("1g.20gb", "1g.20gb")
    assert {("1g.20gb", "1g.20gb"), ("2g.20gb", "2g.20gb"), ("3g.40gb", "3g.40gb")} <= set(ways)
    assert ways["1g.20gb", "1g.20gb"].room == "4g.40gb"
    assert ways["3g.40gb", "3g.40gb"].room is None

    told = plan_json.to_json(planned, [one])
    assert told["used"] == {"before": 3, "after": 2, "bound": 2.0, "gap": 0.0}
    assert told["cost"]["after"] == 4.0
    tight, guide = (
        next(way for way in told["explained"][0]["ways"] if way["profiles"] == list(pattern))
        for pattern in (("1g.20gb", "1g.20gb"), ("3g.40gb", "3g.40gb"))
    )
    assert tight["chosen"]
    assert tight["room"] == {"profile": "4g.40gb", "memory_mib": 40192, "sms": 56, "bandwidth_gbs": 1019.5}
    assert guide["room"] is None
    assert [seat["spare_mib"] for seat in guide["seats"]] == [40192 - 9831, 40192 - 13722]


def test_the_keys_of_the_json_are_a_contract() -> None:
    planned = pipeline()
    told = plan_json.to_json(planned, explanations(planned.plan, planned.workloads))
    assert list(told) == [
        "what_if", "used", "cost", "freed", "changed", "moved", "unplaced", "cards", "assignments", "kept", "layouts",
        "order", "explained", "notes",
    ]  # fmt: skip
    assert list(told["cards"][0]) == [
        "host", "index", "uuid", "product", "price", "held", "before", "after", "used", "changes",
    ]  # fmt: skip
    assert list(told["assignments"][0]) == ["workload", "replica", "host", "index", "profile", "start", "moved"]
    assert list(told["explained"][0]) == ["product", "cards", "workloads", "ways"]


def test_the_layout_file_is_one() -> None:
    text = planning.layouts_text(pipeline())
    assert text is not None
    document = yaml.safe_load(text)
    assert document == {
        "version": "v1",
        "mig-configs": {
            "plan-1": [
                {"devices": [0], "mig-enabled": False},
                {"devices": [1], "mig-enabled": True, "mig-devices": {"1g.20gb": 2}},
            ]
        },
    }
    assert loads(text).names == ("plan-1",)


def test_nothing_to_change_is_no_file() -> None:
    planned = planning.of_cards(PIPELINE[:1], THREE, Options())
    assert planning.layouts_text(planned) is None
    assert planning.inventory_text(planned, "x.yml") is None


def test_the_inventory_gives_each_host_its_layout_in_the_order_of_the_plan(tmp_path: Path) -> None:
    cards = [FleetCard(f"n{number}", 0, "A100-80GB") for number in (1, 2, 3)]
    planned = planning.of_cards([Workload("w", 30000, replicas=4)], cards, Options())
    assert planned.order == ("n1", "n2")
    planned = replace(planned, order=("n2", "n1"))  # the inventory has them the other way round
    layouts = tmp_path / "layouts.yml"
    layouts.write_text(planning.layouts_text(planned) or "")
    (tmp_path / "plan.yml").write_text(planning.inventory_text(planned, layouts) or "")
    (tmp_path / "inventory.ini").write_text("[gpu]\nn1\nn2\nn3\n")
    read = open_inventory([tmp_path / "plan.yml", tmp_path / "inventory.ini"], planning.GROUP)
    assert tuple(read.names()) == planned.order
    for host, name in planned.layouts.of_host.items():
        found = read.layout(host)
        assert found is not None
        assert found.name == name


@pytest.mark.parametrize("seed", range(6))
def test_the_same_input_gives_the_same_bytes(seed: int) -> None:
    chance = random.Random(seed)
    cards = [
        FleetCard(f"n{node}", index, chance.choice(("A100-80GB", "H200-141GB")))
        for node in range(4)
        for index in range(2)
    ]
    workloads = [
        Workload(f"w{number}", chance.randrange(2000, 60000), replicas=chance.randrange(1, 4)) for number in range(6)
    ]

    def once() -> tuple[str, str | None]:
        planned = planning.of_cards(workloads, cards, Options())
        told = plan_json.to_json(planned, explanations(planned.plan, planned.workloads, everything=True))
        return json.dumps(told), planning.layouts_text(planned)

    assert once() == once()


def test_prices_of_the_options_overrule_those_of_the_file() -> None:
    cards = [FleetCard("a", 0, "A100-80GB", price=9.0), FleetCard("a", 1, "H200-141GB", price=1.0)]
    options = Options(least="cost", prices=Prices(by_product={"A100-80GB": 0.5}))
    planned = planning.of_cards([Workload("w", 1000)], cards, options)
    assert planned.plan.cost is not None
    assert planned.plan.cost.value == 0.5
    assert planned.plan.assignments[0].index == 0
