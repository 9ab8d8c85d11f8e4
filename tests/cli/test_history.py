"""What was changed, how to go back, and what is said of a change that was cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migprov.sim.nodes import Fleet

from .conftest import Migprov, writes

Up = Callable[..., Fleet]
PLACED = """\
version: v1
mig-configs:
  placed:
    - devices: [1]
      mig-enabled: true
      mig-devices:
        - {profile: 2g.20gb, start: 4}
        - {profile: 1g.10gb, start: 3, compute-instances: []}
"""


def instances(line: dict[str, Any], when: str = "after") -> list[tuple[str, int, int]]:
    found = line[when]["gpus"][1]["instances"]
    return [(each["profile"], each["start"], len(each["compute_instances"])) for each in found]


def test_rollback_brings_the_placements_back_and_again_goes_forward(
    migprov: Migprov, fleet: Fleet, layouts: Path, tmp_path: Path
) -> None:
    where = ("-i", fleet.inventory)
    (tmp_path / "placed.yml").write_text(PLACED)
    placed = migprov("apply", tmp_path / "placed.yml", "placed", *where, "--json").lines[0]
    assert instances(placed) == [("1g.10gb", 3, 0), ("2g.20gb", 4, 1)]
    halved = migprov("apply", layouts, "voice", *where, "--json").lines[0]

    counted = writes(fleet)
    planned = migprov("rollback", *where, "--check", "--json")
    assert (planned.code, writes(fleet)) == (0, counted)
    shown = migprov("rollback", *where, "--check", "--diff")
    assert "gpu1: would change" in shown.out
    assert "+  2g.20gb at memory slice 4" in shown.out
    assert writes(fleet) == counted

    back = migprov("rollback", *where, "--json")
    assert (back.code, back.err) == (0, "")
    assert back.lines[0]["steps"] == planned.lines[0]["steps"]
    assert instances(back.lines[0]) == instances(placed)
    # GPU 2, which the layout touched too, has its mode from before.
    assert [gpu["mig_current"] for gpu in back.lines[0]["after"]["gpus"]] == [False, True, False]

    forward = migprov("rollback", *where, "--json")
    assert forward.code == 0
    assert instances(forward.lines[0]) == instances(halved)
    assert migprov("verify", layouts, "voice", *where).code == 0


@pytest.mark.long
def test_rollback_minds_who_works_there(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    where = ("-i", fleet.inventory)
    applied = migprov("apply", layouts, "voice", *where, "--json").lines[0]
    uuid = applied["after"]["gpus"][1]["instances"][0]["compute_instances"][0]["uuid"]
    holder = node.sim.hold(None, 100, mig_uuid=uuid)
    counted = writes(fleet)
    refused = migprov("rollback", *where, "--stop-on-error")
    assert refused.code == 2
    assert f"pid {holder.pid}" in refused.out
    assert (holder.alive, writes(fleet)) == (True, counted)
    done = migprov("rollback", *where, "--drain", "terminate", "--timeout", "5")
    assert done.code == 0, done.out
    assert not holder.alive


def test_nothing_to_go_back_before(migprov: Migprov, fleet: Fleet) -> None:
    answer = migprov("rollback", "-i", fleet.inventory, "--json")
    assert answer.code == 2
    assert answer.lines[0]["error"]["code"] == "no_history"
    listed = migprov("history", "-i", fleet.inventory)
    assert (listed.code, listed.out) == (0, "gpu1: no changes in its journal\n")


def test_history_in_words_and_in_json(migprov: Migprov, make_fleet: Up, layouts: Path) -> None:
    fleet = make_fleet(nodes=2)
    where = ("-i", fleet.inventory)
    one = (*where, "--limit", "gpu1")
    migprov("apply", layouts, "voice", *one)
    migprov("rollback", *one)
    migprov("apply", layouts, "voice", *one, "--check")  # is none
    fleet.nodes[0].sim.fault(call="nvmlDeviceCreateGpuInstanceWithPlacement", error="UNKNOWN")
    assert migprov("apply", layouts, "seven", *one).code == 2
    counted = writes(fleet)
    answer = migprov("history", *where, COLUMNS="300")
    assert (answer.code, answer.err) == (0, "")
    rows = [line.split() for line in answer.out.splitlines()]
    ended = [row for row in rows if row and row[-1] in ("done", "failed:")]
    # A rollback over an inventory is a roll, which Ansible moves.
    assert [("(cli)" in row, "(ansible," in row, "layout" in row, "rollback" in row) for row in ended[:2]] == [
        (True, False, True, False),
        (False, True, False, True),
    ]
    assert "GPU 1: MIG off" in answer.out
    assert "GPU 1: 3g.40gb at 0, 3g.40gb at 4" in answer.out
    assert "GPU 2: MIG on, empty" in answer.out
    assert "failed: " in answer.out
    assert "gpu2: no changes in its journal" in answer.out

    first, second = migprov("history", *where, "--json").lines
    assert [(each["task"], each["result"]) for each in first["changes"]] == [
        ("layout", "done"),
        ("rollback", "done"),
        ("layout", "failed"),
    ]
    assert "UNKNOWN" in first["changes"][2]["message"] or "999" in first["changes"][2]["message"]
    assert second["changes"] == []
    assert writes(fleet) == counted


@pytest.mark.parametrize("command", ["info", "verify", "apply", "json"])
def test_an_interrupted_change_is_told(migprov: Migprov, fleet: Fleet, layouts: Path, command: str) -> None:
    (node,) = fleet.nodes
    where = ("-i", fleet.inventory)
    node.sim.fault(call="nvmlDeviceCreateGpuInstanceWithPlacement", times=1, kill=True)
    killed = migprov("apply", layouts, "voice", *where)
    assert killed.code != 0
    said = "the last change (layout, "
    if command == "info":
        answer = migprov("info", *where)
        assert answer.code == 0
        assert said in answer.out
        assert "was interrupted: its run died on the way. Next: apply the layout again" in answer.out
    elif command == "verify":
        answer = migprov("verify", layouts, "voice", *where)
        assert answer.code == 2
        assert said in answer.out
    elif command == "apply":
        answer = migprov("apply", layouts, "voice", *where)
        assert answer.code == 0, answer.out
        assert said in answer.out
        assert "This run went on from what the GPUs were then." in answer.out
        assert migprov("verify", layouts, "voice", *where).out == "gpu1: as wanted\n"
    else:
        answer = migprov("info", *where, "--json")
        assert len(answer.lines) == 1
        assert answer.err.startswith(f"Note: gpu1: {said}")


def test_the_last_line_of_a_check_where_no_node_answers(migprov: Migprov, tmp_path: Path) -> None:
    nobody = "{ansible_host: 127.0.0.1, ansible_port: 1}"
    (tmp_path / "hosts.yml").write_text(f"all: {{hosts: {{gpu1: {nobody}, gpu2: {nobody}}}}}\n")
    answer = migprov("rollback", "-i", tmp_path / "hosts.yml", "--check")
    assert answer.code == 4
    assert answer.out.splitlines()[-1] == "2 nodes: 0 would change, 0 failed, 2 unreachable"
