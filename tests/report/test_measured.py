"""The report of what was measured before and after: real nodes (simulated), audits, a roll's record."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from migprov.fleet.roll import folder
from migprov.fleet.roll.record import Record

from .files import Answer, Page, migprov

if TYPE_CHECKING:
    from conftest import FleetFactory  # type: ignore[import-not-found]

LAYOUTS = """\
version: v1
mig-configs:
  voice:
    - devices: [1]
      mig-enabled: true
      mig-devices: [{profile: 1g.20gb, start: 4}, {profile: 1g.20gb, start: 6}]
"""
ROLL = "20260101-000000-abcd"


def report(before: Path, after: Path, *more: object) -> Answer:
    return migprov("report", "--before", before, "--after", after, *more)


def test_two_readings_of_a_node(make_fleet: FleetFactory, tmp_path: Path) -> None:
    fleet = make_fleet()
    node, inventory = fleet.nodes[0], fleet.inventory
    llm = node.sim.hold(0, 70000, command="llm serve")
    asr, tts = node.sim.hold(1, 9831, command="asr serve"), node.sim.hold(2, 13722, command="tts serve")
    assert llm.alive
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    before.write_text(migprov("info", "-i", inventory, "--json").out)
    for holder in (asr, tts):
        node.sim.release(int(holder))
    layouts = tmp_path / "layouts.yml"
    layouts.write_text(LAYOUTS)
    assert migprov("apply", layouts, "voice", "-i", inventory, "--json").code == 0
    devices = {
        each["start"]: each["compute_instances"][0]["uuid"]
        for each in json.loads(migprov("info", "-i", inventory, "--json").out)["after"]["gpus"][1]["instances"]
    }
    node.sim.hold(devices[4], 9831, command="asr serve")
    node.sim.hold(devices[6], 13722, command="tts serve")
    after.write_text(migprov("info", "-i", inventory, "--json").out)

    told = report(before, after, "--price", "2", "--json").json
    assert [card["change"] for card in told["cards"]] == ["same", "cut", "freed"]
    assert (told["before"]["in_use"], told["after"]["in_use"]) == (3, 2)
    assert (told["before"]["for_hours"], told["after"]["for_hours"]) == (4320, 2880)
    parts = told["cards"][1]["after"]["parts"]
    assert [(part["profile"], part["start"], part["used_mib"], part["memory_mib"]) for part in parts] == [
        ("1g.20gb", 4, 9831, 19968),
        ("1g.20gb", 6, 13722, 19968),
    ]
    # What the driver says is in use of a whole card, which is no less than what its processes take.
    assert 70000 <= told["cards"][0]["after"]["used_mib"] < 72000
    assert told["after"]["allocated_mib"] == 81920 + 2 * 19968
    assert told["notes"] == []


def test_nodes_that_did_not_answer_once_are_not_compared(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    lost = {"code": "unreachable", "message": "gpu2: no route"}
    before.write_text(_lines(_info("gpu1", [_gpu(0, 9000)]), _info("gpu2", [_gpu(0, 9000)])))
    after.write_text(_lines(_info("gpu1", [_gpu(0, 9000)]), {"host": "gpu2", "after": None, "error": lost}))
    told = report(before, after, "--json").json
    assert [card["host"] for card in told["cards"]] == ["gpu1"]
    assert (told["before"]["in_use"], told["after"]["in_use"], told["freed"]) == (1, 1, [])
    assert told["notes"] == [
        "gpu2 did not answer after: gpu2: no route",
        "gpu2/0 is known before only, and not compared",
    ]


def test_agents_hold_nothing_and_memory_without_a_holder_is_told(tmp_path: Path) -> None:
    agent = {"pid": 7, "command": "dcgm", "unit": "nvidia-dcgm.service", "memory_mib": 300, "gi_id": None}
    both = _info("gpu1", [_gpu(0, 100, [agent]), _gpu(1, 5000)])
    before = tmp_path / "before"
    before.write_text(_lines(both))
    told = report(before, before, "--json").json
    idle, unseen = (card["after"]["parts"][0] for card in told["cards"])
    assert idle["holders"] == []
    assert unseen["holders"] == [{"name": "memory in use by nobody that was seen", "used_mib": 5000}]


def test_a_process_of_unknown_instance_makes_the_use_unknown(tmp_path: Path) -> None:
    lost = {"pid": 7, "command": "asr", "user": "me", "unit": None, "memory_mib": 300, "gi_id": None}
    gpu = {**_gpu(0, 300, [lost]), "mig_current": True, "instances": [{"gi_id": 1, "profile": "3g.40gb", "start": 0}]}
    path = tmp_path / "info"
    path.write_text(_lines(_info("gpu1", [gpu])))
    told = report(path, path, "--json").json
    assert (told["after"]["in_use"], told["after"]["left_out"], told["after"]["efficiency"]) == (1, 1, None)
    assert told["cards"][0]["after"]["used_mib"] is None
    assert "ask as root" in told["notes"][0]


def test_who_only_looks_holds_nothing(tmp_path: Path) -> None:
    """A monitor has every card open; where more is in use than the driver takes, it may be what nobody else owns to."""
    nvtop = {
        "pid": 7,
        "command": "nvtop",
        "user": None,
        "unit": None,
        "memory_mib": None,
        "gi_id": None,
        "kind": "open",
    }
    asr = {**nvtop, "pid": 8, "command": "asr", "memory_mib": 300, "gi_id": 1, "kind": "compute"}
    half = {"gi_id": 1, "profile": "3g.40gb", "start": 0}
    cut = {**_gpu(0, 309, [nvtop, asr]), "mig_current": True, "instances": [half, {**half, "gi_id": 2, "start": 4}]}
    path = tmp_path / "info"
    path.write_text(_lines(_info("gpu1", [cut, _gpu(1, 1, [nvtop]), _gpu(2, 5000, [nvtop])])))
    found = report(path, path, "--json").json
    held = [
        [[holder["name"] for holder in part["holders"]] for part in card["after"]["parts"]] for card in found["cards"]
    ]
    assert held == [[["asr"], []], [[]], [["nvtop"]]]
    assert (found["after"]["in_use"], found["after"]["used_mib"], found["after"]["left_out"]) == (2, 5300, 0)
    assert found["notes"] == []


def test_cards_that_the_table_does_not_have_and_cards_without_instances(tmp_path: Path) -> None:
    asr = {"pid": 7, "command": "asr", "user": None, "unit": None, "memory_mib": 300, "gi_id": None}
    unknown = {**_gpu(0, 4096, [asr]), "name": "Tesla T4", "product": None, "memory_mib": 16384}
    empty = {**_gpu(1, 0), "mig_current": True}
    silent = {"index": 2, "error": {"code": "gpu_lost", "message": "it fell off"}}
    path, page = tmp_path / "info", tmp_path / "page.html"
    path.write_text(_lines(_info("gpu1", [unknown, empty, silent])))
    told = report(path, path, "--json").json
    assert (told["after"]["in_use"], told["after"]["memory_mib"], told["after"]["efficiency"]) == (1, 16384, 0.25)
    assert told["cards"][0]["after"]["parts"][0]["sms"] is None
    assert (told["cards"][1]["change"], told["cards"][1]["after"]["parts"]) == ("free", [])
    assert told["notes"] == [f"gpu1/2 did not answer: it fell off ({when})" for when in ("before", "after")]
    assert "Tesla T4" in report(path, path).out
    assert report(path, path, "-o", page).code == 0
    text = Page(page.read_text("utf-8")).text
    assert "4 of 16 GiB" in text
    assert "not cut 8 slices" in text


def test_two_audits(tmp_path: Path) -> None:
    head = (
        "host,gpu,model,profile,start,memory_total_gib,memory_peak_gib,sm_peak_percent,samples,window_s,command,user\n"
    )
    model = "NVIDIA A100-SXM4-80GB"
    rows = [f"gpu1,{gpu},{model},,,80,{peak},90,1000,86400,," for gpu, peak in enumerate((73.2, 9.6, 13.4))]
    then = [rows[0], f"gpu1,1,{model},1g.20gb,4,19.5,9.6,90,1000,86400,,"]
    then += [f"gpu1,1,{model},1g.20gb,6,19.5,13.4,90,1000,86400,,", f"gpu1,2,{model},,,80,0.01,0,1000,86400,,"]
    files = []
    for name, lines in (("before", rows), ("after", then)):
        table, path = tmp_path / f"{name}.csv", tmp_path / f"{name}.jsonl"
        table.write_text(head + "\n".join(lines) + "\n")
        answer = migprov("audit", "--csv", table, "--json")
        assert answer.code == 0, answer.err
        path.write_text(answer.out)
        files.append(path)
    told = report(*files, "--price", "2", "--json").json
    before, after = told["before"], told["after"]
    assert [round(side["used_mib"] / 1024, 1) for side in (before, after)] == [96.2, 96.2]
    assert [side["in_use"] for side in (before, after)] == [3, 2]
    assert [round(side["efficiency"], 2) for side in (before, after)] == [0.40, 0.60]
    assert told["freed"] == [{"host": "gpu1", "index": 2}]


def test_a_roll_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    roll = folder.rolls_folder() / ROLL
    folder.make_private(roll)
    held = folder.take(roll)
    assert held is not None
    record = Record(roll, held)
    hosts = ["gpu1", "gpu2", "gpu3"]
    record.write(
        "begun", id=ROLL, who="me <b>", name="voice", hosts=hosts, inventory=["i"], options={"kind": "rollout"}
    )
    record.write("looked", nodes={"gpu1": {"changes": True}, "gpu2": {"changes": True}, "gpu3": {"changes": False}})
    record.write("batch", number=1, hosts=["gpu1", "gpu2"])
    cut = {"before": {"1": None}, "after": {"1": ["3g.40gb at 0", "3g.40gb at 4"]}}
    record.write("node", host="gpu1", result="done", message=None, **cut)
    record.write("node", host="gpu2", result="failed", message="GPU 0 is busy", before=None, after=None)
    record.write("stopped", result="failed", reason="gpu2 failed")
    record.close()
    reading, page = tmp_path / "info", tmp_path / "page.html"
    reading.write_text(_lines(_info("gpu1", [_gpu(0, 9000)])))
    told = report(reading, reading, "--roll", "abcd", "--json").json["roll"]
    assert (told["id"], told["state"], told["result"], told["batches"]) == (ROLL, "stopped", "failed", 0)
    assert [(node["host"], node["result"], node["message"], node["changes"]) for node in told["nodes"]] == [
        ("gpu1", "done", None, ["GPU 1: MIG off -> 3g.40gb at 0, 3g.40gb at 4"]),
        ("gpu2", "failed", "GPU 0 is busy", []),
        ("gpu3", "unchanged", None, []),
    ]
    text = report(reading, reading, "--roll", ROLL).out
    assert "stopped (failed)" in text
    assert "GPU 1: MIG off -> 3g.40gb at 0" in text
    assert report(reading, reading, "--roll", ROLL, "-o", page).code == 0
    drawn = Page(page.read_text("utf-8")).text
    assert "begun" in drawn
    assert "by me <b>" in drawn
    assert "GPU 0 is busy" in drawn
    with (roll / "journal.jsonl").open("a") as journal:
        journal.write('{"event": "node", "host": 7}\n')
    told = report(reading, reading, "--roll", ROLL, "--json").json["roll"]
    assert told["reason"] == "gpu2 failed; 1 line of its record cannot be read, so what is told may not be all"
    answer = report(reading, reading, "--roll", "ffff", "-o", tmp_path / "no.html")
    assert (answer.code, (tmp_path / "no.html").exists()) == (1, False)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("nothing", "", "line 1: no JSON object"),
        ("", "", "has no line of either"),
        ('{"host": "a", "after": {"gpus": [{}]}}', "same", "is not what 'migprov info --json' prints"),
        ('{"host": "a", "verdict": "idle"}', "same", "is not what 'migprov audit --json' prints"),
        ('{"host": "a", "after": {"gpus": []}}', "same", "have no card in common"),
        ("\udcff", "", "is not in UTF-8"),
    ],
)
def test_what_is_no_reading_is_refused(before: str, after: str, says: str, tmp_path: Path) -> None:
    first, second = tmp_path / "before", tmp_path / "after"
    first.write_bytes(os.fsencode(before))
    second.write_bytes(os.fsencode(before if after == "same" else after))
    answer = report(first, second)
    assert (answer.code, answer.out) == (1, "")
    assert says in answer.err


def test_a_reading_and_an_audit_are_not_compared(tmp_path: Path) -> None:
    info, table, audit = tmp_path / "info", tmp_path / "t.csv", tmp_path / "audit"
    info.write_text(_lines(_info("gpu1", [_gpu(0, 1)])))
    table.write_text("host,gpu,memory_peak_mib,samples,window_s\ngpu1,0,5,100,600\n")
    audit.write_text(migprov("audit", "--csv", table, "--json").out)
    answer = report(info, audit)
    assert answer.code == 1
    assert "measured alike" in answer.err


def _lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


def _info(host: str, gpus: list[dict[str, Any]]) -> dict[str, Any]:
    return {"host": host, "failed": False, "after": {"gpus": gpus}, "error": None}


def _gpu(index: int, used: int, processes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": "NVIDIA A100-SXM4-80GB",
        "product": "A100-80GB",
        "memory_mib": 81920,
        "memory_used_mib": used,
        "mig_capable": True,
        "mig_current": False,
        "instances": [],
        "processes": processes or [],
        "error": None,
    }
