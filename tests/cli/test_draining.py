"""Work in the way of a change: named, waited for or ended, and nobody beside it. Over real SSH, with real processes."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from migprov.sim.nodes import Fleet, FleetNode

from .conftest import PROGRAM, Migprov, writes

UNIT = "0::/system.slice/asr.service"
CONTAINER = "0::/system.slice/docker-" + "4f" * 32 + ".scope"


def actions(line: dict[str, Any]) -> list[tuple[str, int]]:
    return [(step["action"], step["pid"]) for step in line["steps"] if "pid" in step]


def test_refuse_names_pid_user_and_unit_and_does_the_other_gpus(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    holder = node.sim.hold(1, 9830, command="python3 serve.py", cgroup=UNIT)
    where = ("-i", fleet.inventory)
    answer = migprov("apply", layouts, "voice", *where, "--check")
    assert answer.code == 2
    assert "would be done: GPU 2: enable MIG mode" in answer.out
    assert writes(fleet) == [0]

    answer = migprov("apply", layouts, "voice", *where, "--stop-on-error")
    assert answer.code == 2
    assert writes(fleet) == [0]

    answer = migprov("apply", layouts, "voice", *where)
    assert answer.code == 2
    assert "gpu1: failed in part" in answer.out
    assert "GPU 1: refused: GPU 1 (GPU-" in answer.out
    assert "GPU 2: done\n" in answer.out
    who = f"python3 (pid {holder.pid}, {getpass.getuser()}, compute, 9.6 GiB, asr.service)"
    assert f"held by {who}" in answer.out
    assert "done: GPU 2: enable MIG mode" in answer.out
    assert holder.alive


def test_how_each_gpu_fared_in_json(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    holder = fleet.nodes[0].sim.hold(1, 100, cgroup=UNIT)
    answer = migprov("apply", layouts, "voice", "-i", fleet.inventory, "--json")
    assert answer.code == 2
    (line,) = answer.lines
    assert (line["failed"], line["error"]["code"], line["error"]["gpu"]) == (True, "gpu_busy", 1)
    assert [(each["pid"], each["unit"]) for each in line["error"]["holders"]] == [(holder.pid, "asr.service")]
    fared = line["error"]["gpus"]
    assert {index: one["result"] for index, one in fared.items()} == {"1": "refused", "2": "done"}
    assert (fared["1"]["error"]["code"], fared["2"]["error"]) == ("gpu_busy", None)
    assert {step["gpu"] for step in line["steps"]} == {2}


def test_terminate_ends_what_is_in_the_way_and_nobody_beside(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    beside, first, second = node.sim.hold(0, 100), node.sim.hold(1, 100), node.sim.hold(1, 100, ignores_term=True)
    where = ("-i", fleet.inventory, "--drain", "terminate", "--timeout", "0.2")
    planned = migprov("apply", layouts, "voice", *where, "--check", "--json")
    assert planned.code == 0
    assert [holder.alive for holder in (beside, first, second)] == [True, True, True]
    assert writes(fleet) == [0]
    done = migprov("apply", layouts, "voice", *where, "--json")
    assert done.code == 0, done.out + done.err
    assert done.lines[0]["steps"] == planned.lines[0]["steps"]
    assert sorted(actions(done.lines[0])) == sorted(("end_process", holder.pid) for holder in (first, second))
    assert [holder.alive for holder in (beside, first, second)] == [True, False, False]


def test_terminate_ends_only_what_runs_in_the_instances_that_go(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    where = ("-i", fleet.inventory)
    applied = migprov("apply", layouts, "voice", *where, "--json").lines[0]
    devices = [each["compute_instances"][0]["uuid"] for each in applied["after"]["gpus"][1]["instances"]]
    holders = [node.sim.hold(None, 100, mig_uuid=uuid) for uuid in devices]
    text = layouts.read_text().replace("{3g.40gb: 2}", "{3g.40gb: 1, 1g.10gb: 4}")
    (layouts.parent / "other.yml").write_text(text)
    done = migprov("apply", layouts.parent / "other.yml", "voice", *where, "--drain", "terminate", "--json")
    assert done.code == 0, done.out
    ((action, pid),) = actions(done.lines[0])
    assert action == "end_process"
    assert [holder.alive for holder in holders] == [holder.pid != pid for holder in holders]


@contextmanager
def waiting(node: FleetNode, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command, which has begun its change and waits for a process."""
    command = [*PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not (node.home / ".local" / "state" / "migprov" / "journal.jsonl").exists():
                assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()


def test_wait_goes_on_when_the_process_has_left(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    where = ("-i", fleet.inventory)
    holder = node.sim.hold(1, 100)
    options = ("--drain", "wait", "--timeout", "100", "--json")
    planned = migprov("apply", layouts, "voice", *where, *options, "--check").lines[0]
    assert actions(planned) == [("wait_for_process", holder.pid)]
    with waiting(node, "apply", layouts, "voice", *where, *options) as process:
        # Meanwhile nothing has changed, and nobody calls it interrupted.
        shown = migprov("info", *where)
        assert "interrupted" not in shown.out
        (line,) = migprov("history", *where, "--json").lines
        assert [change["result"] for change in line["changes"]] == ["running"]
        assert writes(fleet) == [0]
        assert holder.alive
        holder.release()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert '"changed": true' in out
    assert migprov("verify", layouts, "voice", *where).code == 0


def test_wait_that_is_not_rewarded(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    holder = node.sim.hold(1, 100)
    where = ("-i", fleet.inventory, "--drain", "wait", "--timeout", "0.1", "--stop-on-error")
    answer = migprov("apply", layouts, "voice", *where)
    assert answer.code == 2
    assert f"process {holder.pid}" in answer.out
    assert "still runs at the end of the time given for it" in answer.out
    assert holder.alive
    assert writes(fleet) == [0]


def test_agents_are_stopped_for_it_and_started_again(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    agent = node.sim.service("nvidia-dcgm", gpus=[0, 1, 2])
    pid = agent.pid
    done = migprov("apply", layouts, "voice", "-i", fleet.inventory)
    assert done.code == 0, done.out
    assert "GPU 1: stop nvidia-dcgm.service" in done.out
    assert done.out.count("stop nvidia-dcgm.service") == 1
    assert done.out.endswith("  start nvidia-dcgm.service\n")
    assert agent.active
    assert agent.pid != pid


def test_info_shows_what_is_known_of_a_holder(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    where = ("-i", fleet.inventory)
    applied = migprov("apply", layouts, "voice", *where, "--json").lines[0]
    (one, _) = applied["after"]["gpus"][1]["instances"]
    uuid = one["compute_instances"][0]["uuid"]
    job = node.sim.hold(None, 2048, mig_uuid=uuid, cgroup=CONTAINER, command="tts")
    graphics = node.sim.hold(0, 1024, kind="graphics", cgroup=UNIT, command="Xorg")
    monitor = node.sim.hold(0, kind="monitor", command="watcher")
    user = getpass.getuser()
    shown = migprov("info", *where, COLUMNS="300").out
    assert f"tts (pid {job.pid}, {user}, compute, 2.0 GiB, GPU instance {one['gi_id']}, container {'4f' * 6})" in shown
    assert f"Xorg (pid {graphics.pid}, {user}, graphics, 1.0 GiB, asr.service)" in shown
    assert f"watcher (pid {monitor.pid}, {user}, open)" in shown
