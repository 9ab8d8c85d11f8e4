"""`migprov plan` as people run it: on simulated nodes with real processes, and on paper."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from migprov.capacity import workloads_file
from migprov.capacity.model import Workload
from migprov.sim.nodes import Fleet
from tests.cli.conftest import Migprov, writes
from tests.conftest import FleetFactory

PIPELINE = """\
workloads:
  - {name: language-model, memory: 73.2 GiB, runs-on: [{host: gpu1, gpu: 0}]}
  - {name: speech-to-text, memory: 9.6 GiB, runs-on: [{host: gpu1, gpu: 1}]}
  - {name: text-to-speech, memory: 13.4 GiB, runs-on: [{host: gpu1, gpu: 2}]}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "workloads.yml"
    path.write_text(PIPELINE)
    return path


def hold_pipeline(fleet: Fleet) -> list[Any]:
    sim = fleet.nodes[0].sim
    return [
        sim.hold(0, 74957, command="language-model"),
        sim.hold(1, 9830, command="speech-to-text"),
        sim.hold(2, 13722, command="text-to-speech"),
    ]


def test_the_voice_pipeline_from_plan_to_layout(migprov: Migprov, fleet: Fleet, pipeline: Path, tmp_path: Path) -> None:
    holders = hold_pipeline(fleet)
    layouts, inventory = tmp_path / "layouts.yml", tmp_path / "plan.yml"
    plan = ["plan", pipeline, "-i", fleet.inventory, "-o", layouts, "--inventory-out", inventory, "--price", "2"]
    answer = migprov(*plan)
    assert answer.code == 0, answer.err
    assert "Cards in use: 3 before, 2 after, of 3; proven to be the least." in answer.out
    assert "Freed: 1 card: gpu1/2." in answer.out
    assert "4.00 an hour" in answer.out
    # The choice: what guides ask for, and the tighter ways, with what each leaves.
    rows = [line for line in answer.out.splitlines() if " + " in line]
    assert any("planned" in row and "1g.20gb + 1g.20gb" in row and "4g.40gb (39.2 GiB" in row for row in rows)
    assert any("2g.20gb + 2g.20gb" in row and "3g.40gb (39.2 GiB" in row for row in rows)
    assert any("3g.40gb + 3g.40gb" in row and row.rstrip().endswith("nothing") for row in rows)
    assert writes(fleet) == [0]

    # Written once, and not again unless wanted.
    again = migprov(*plan)
    assert (again.code, again.out) == (1, "")
    assert "is there already" in again.err
    before = layouts.read_bytes(), inventory.read_bytes()
    assert migprov(*plan, "--force").code == 0
    assert (layouts.read_bytes(), inventory.read_bytes()) == before

    # The work has moved away: what was planned can be done, and is what verify wants.
    for holder in holders[1:]:
        holder.release()
    where = ["-i", inventory, "-i", fleet.inventory, "--limit", "migprov_plan"]
    checked = migprov("apply", *where, "--check", "--json")
    assert checked.code == 0, checked.err
    assert checked.lines[0]["changed"]
    assert migprov("apply", *where).code == 0
    assert migprov("verify", *where).code == 0
    assert holders[0].alive


def test_json_is_one_object_and_the_same_each_time(migprov: Migprov, fleet: Fleet, pipeline: Path) -> None:
    hold_pipeline(fleet)
    first = migprov("plan", pipeline, "-i", fleet.inventory, "--json")
    assert first.code == 0
    (told,) = first.lines
    assert told["freed"] == [{"host": "gpu1", "index": 2}]
    assert told["order"] == ["gpu1"]
    assert migprov("plan", pipeline, "-i", fleet.inventory, "--json").out == first.out


def test_what_nobody_claims_is_left_alone(migprov: Migprov, fleet: Fleet, pipeline: Path) -> None:
    stranger = hold_pipeline(fleet)[2]
    text = PIPELINE.splitlines(keepends=True)
    pipeline.write_text("".join(text[:3]))
    answer = migprov("plan", pipeline, "-i", fleet.inventory, "--json")
    (told,) = answer.lines
    assert answer.code == 0
    assert told["cards"][2]["held"].startswith(f"process {stranger.pid} (text-to-speech, user ")
    assert told["cards"][2]["held"].endswith("is not in the workloads file")
    assert told["freed"] == []


def test_what_has_no_place_is_told_with_exit_code_2(migprov: Migprov, fleet: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "w.yml"
    path.write_text("workloads: [{name: a, memory: 60 GiB, replicas: 4}, {name: b, memory: 90 GiB}]\n")
    answer = migprov("plan", path, "-i", fleet.inventory)
    assert answer.code == 2
    assert "No place for 1 replica of a: every card that could hold it is full." in answer.out
    assert "No place for 1 replica of b: needs 110592 MiB; A100-80GB: it has" in answer.out
    assert "2 replicas have no place." in answer.out


def test_a_node_that_is_not_there(migprov: Migprov, make_fleet: FleetFactory, pipeline: Path) -> None:
    fleet = make_fleet(2)
    pipeline.write_text(PIPELINE.replace("host: gpu1, gpu: 2", "host: gpu2, gpu: 0"))
    (fleet.directory / "more.ini").write_text("gpu9 ansible_host=127.0.0.1 ansible_port=1\n")
    answer = migprov("plan", pipeline, "-i", fleet.inventory, "-i", fleet.directory / "more.ini", "--json")
    assert answer.code == 4
    assert "gpu9" in answer.err
    assert any(note.startswith("gpu9 is left out: ") for note in answer.lines[0]["notes"])
    assert {card["host"] for card in answer.lines[0]["cards"]} == {"gpu1", "gpu2"}


PAPER = 'nodes: [{name: "gpu[1:3]", gpus: 2xA100-80GB, price: 2}, {name: big, gpus: 1xH200-141GB, price: 9}]\n'


def test_a_fleet_on_paper(migprov: Migprov, tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_text(PAPER)
    (tmp_path / "w.yml").write_text("workloads: [{name: a, memory: 16 GiB, replicas: 5}]\n")
    paper = ["plan", tmp_path / "w.yml", "--fleet", tmp_path / "fleet.yml", "--json"]
    cards = migprov(*paper, "--least", "cards")
    assert cards.code == 0, cards.err
    assert cards.lines[0]["used"] == {"before": None, "after": 2, "bound": 2.0, "gap": 0.0}
    cost = migprov(*paper, "--least", "cost").lines[0]["cost"]
    assert cost["after"] == 4.0
    (tmp_path / "prices.yml").write_text("A100-80GB: 2.0\nH200-141GB: 0.5\n")
    cheap = migprov(*paper, "--least", "cost", "--prices", tmp_path / "prices.yml").lines[0]
    # Four of five fit on the one that is cheap now.
    assert sorted(each["host"] for each in cheap["assignments"]) == ["big"] * 4 + ["gpu1"]
    assert cheap["cost"]["after"] == 2.5
    kept = migprov(*paper, "--reserve-per-node", "1").lines[0]
    assert sum(card["held"] == "kept in reserve" for card in kept["cards"]) == 4


def test_what_if_the_nodes_had_another_product(migprov: Migprov, fleet: Fleet, pipeline: Path) -> None:
    hold_pipeline(fleet)
    answer = migprov("plan", pipeline, "-i", fleet.inventory, "--as", "H200-141GB", "--json")
    assert answer.code == 0, answer.err
    assert answer.lines[0]["what_if"] == "all cards were H200-141GB"
    assert {card["product"] for card in answer.lines[0]["cards"]} == {"H200-141GB"}
    # 73.2 GiB and 20 % fit there, so nobody has to do without.
    assert answer.lines[0]["notes"] == []
    assert writes(fleet) == [0]


def test_prices_of_the_inventory(migprov: Migprov, fleet: Fleet, pipeline: Path, tmp_path: Path) -> None:
    hold_pipeline(fleet)
    prices = tmp_path / "prices.yml"
    prices.write_text("all: {vars: {mig_gpu_price: {A100-80GB: 1.75}}}\n")
    answer = migprov("plan", pipeline, "-i", fleet.inventory, "-i", prices, "--json")
    assert answer.lines[0]["cost"]["after"] == 3.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say what has to be placed"),
        (("w.yml",), "Say where: -i INVENTORY, --local, or --fleet FILE"),
        (("w.yml", "--fleet", "f.yml", "-i", "x"), "--fleet is a fleet on paper"),
        (("none.yml", "--fleet", "f.yml"), "none.yml: cannot be read"),
        (("bad.yml", "--fleet", "f.yml"), "bad.yml:1: memory of workload 'a' must be"),
        (("w.yml", "--fleet", "none.yml"), "none.yml: cannot be read"),
        (("w.yml", "--fleet", "f.yml", "--inventory-out", "x"), "give -o too"),
        (("w.yml", "--fleet", "f.yml", "-o", "l.yml", "--inventory-out", "p.ini"), "ends in .yml or .yaml"),
        (("w.yml", "--fleet", "f.yml", "-o", "w.yml"), "is there already"),
        (("w.yml", "--fleet", "f.yml", "--as", "H200-141GB"), "--as is a what-if"),
        (("w.yml", "--fleet", "f.yml", "--price", "1", "--prices", "p.yml"), "keep one"),
        (("w.yml", "--fleet", "f.yml", "--price", "1e308"), "is not in the range"),
        (("w.yml", "--fleet", "f.yml", "--prices", "p.yml"), "p.yml:1: there is no product 'A100'"),
        (("w.yml", "--fleet", "f.yml", "--prices", "bad.yml"), "there is no product 'workloads'"),
        (("w.yml", "--fleet", "f2.yml", "--least", "cost"), "has no price"),
        (("there.yml", "--fleet", "f.yml"), "runs on gpu7/0, which is not in the fleet"),
        (("w.yml", "-i", "none.ini"), "There is no inventory none.ini"),
    ],
)
def test_requests_that_are_wrong(migprov: Migprov, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    for name, text in {
        "w.yml": "workloads: [{name: a, memory: 16 GiB}]\n",
        "bad.yml": "workloads: [{name: a, memory: 16}]\n",
        "there.yml": "workloads: [{name: a, memory: 16 GiB, runs-on: [{host: gpu7, gpu: 0}]}]\n",
        "f.yml": PAPER,
        "f2.yml": "nodes: [{name: a, gpus: 1xA100-80GB}]\n",
        "p.yml": "A100: 2\n",
    }.items():
        (tmp_path / name).write_text(text)
    answer = migprov("plan", *arguments, cwd=tmp_path)
    assert (answer.code, answer.out) == (1, "")
    assert words in answer.err


@pytest.mark.parametrize("kind", ["workloads", "fleet"])
def test_the_schemas_are_printed(migprov: Migprov, kind: str) -> None:
    answer = migprov("plan", "--schema", kind)
    assert answer.code == 0
    assert json.loads(answer.out)["title"].startswith(f"migprov {kind} file")


@pytest.mark.parametrize("seed", range(3))
def test_every_planned_layout_is_accepted_by_the_nodes(
    seed: int, migprov: Migprov, make_fleet: FleetFactory, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    kinds = ("2xA100-80GB", "2xA30-24GB", "2xH100-80GB-SXM", "2xH200-141GB", "2xA100-40GB")
    fleet = make_fleet(3, gpus=[chance.choice(kinds) for _ in range(3)])
    workloads = [
        Workload(f"w{number}", chance.choice((2000, 5000, 9000, 15000, 30000)), replicas=chance.randrange(1, 4))
        for number in range(4)
    ]
    if seed == 1:
        # From cards that are cut already, in another way.
        cut = tmp_path / "cut.yml"
        cut.write_text("version: v1\nmig-configs: {x: [{devices: all, mig-enabled: true, mig-devices: {}}]}\n")
        assert migprov("apply", cut, "x", "-i", fleet.inventory).code == 0
    path = tmp_path / "w.yml"
    path.write_text(workloads_file.dump(workloads))
    layouts = tmp_path / "layouts.yml"
    planned = migprov("plan", path, "-i", fleet.inventory, "-o", layouts, "--json")
    assert planned.code in (0, 2), planned.err
    (told,) = planned.lines
    assert told["order"]
    for host, name in told["layouts"]["of_host"].items():
        answer = migprov("apply", layouts, name, "-i", fleet.inventory, "--limit", host, "--check", "--json")
        assert answer.code == 0, (host, yaml.safe_load(layouts.read_text()), answer.out, answer.err)
        gpus = {gpu["index"]: gpu for gpu in answer.lines[0]["after"]["gpus"]}
        for card in told["cards"]:
            if card["host"] == host and (card["used"] or card["changes"]):
                after = gpus[card["index"]]
                assert after["mig_current"] == card["after"]["mig"]
                there = sorted((gi["start"], gi["profile"]) for gi in after["instances"])
                assert there == [(gi["start"], gi["profile"]) for gi in card["after"]["instances"]]
