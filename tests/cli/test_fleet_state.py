"""The state of many nodes at once: what is told of them, in which order, and what bad nodes among them cost."""

from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from migprov.cli.ordered import in_order
from migprov.result import Result
from migprov.sim.nodes import Fleet

from .conftest import LAYOUTS, Migprov, writes

Up = Callable[..., Fleet]
NODES = 40


@pytest.fixture
def troubled(make_fleet: Up) -> Iterator[Fleet]:
    """40 nodes: the second is stopped, the third's server hangs, the fourth has another host key than is known."""
    fleet = make_fleet(nodes=NODES, gpus="2xA100-80GB")
    assert fleet.nodes[1].stop() == []
    hanging = fleet.nodes[2].server
    assert hanging is not None
    lines = fleet.known_hosts.read_text().splitlines()
    lines[3] = f"{lines[3].split(' ', 1)[0]} {lines[4].split(' ', 1)[1]}"
    fleet.known_hosts.write_text("\n".join(lines) + "\n")
    os.kill(hanging.pid, signal.SIGSTOP)
    try:
        yield fleet
    finally:
        os.kill(hanging.pid, signal.SIGCONT)


@pytest.mark.long
def test_bad_nodes_are_reported_beside_the_others(migprov: Migprov, troubled: Fleet) -> None:
    where = ("-i", troubled.inventory, "--forks", 8, "--node-timeout", 8)
    names = [node.name for node in troubled.nodes]
    answer = migprov("info", *where, "--json")
    assert answer.code == 2  # the time limit is a failure, and the worse news wins
    assert [line["host"] for line in answer.lines] == names
    codes = {line["host"]: line["error"] and line["error"]["code"] for line in answer.lines}
    assert [codes[name] for name in names[1:4]] == ["unreachable", "timeout", "host_key"]
    assert [name for name in names if codes[name] is None] == [names[0], *names[4:]]

    answer = migprov("info", *where)
    good = [names[0], *names[4:]]
    assert f"{good[0]}, {good[1]}, {good[2]} and 34 more (37 nodes): driver " in answer.out
    assert "  2 x A100-80GB, MIG off\n" in answer.out
    assert "74 GPUs: 0 with MIG mode on, 0 with processes on them\n" in answer.out
    assert answer.out.endswith("40 nodes: 37 answered, 1 failed, 2 unreachable\n")
    for name, word in zip(names[1:4], ("unreachable", "failed", "unreachable"), strict=True):
        assert f"{name}: {word}\n" in answer.out


def test_nodes_that_say_the_same_are_told_together(migprov: Migprov, make_fleet: Up, tmp_path: Path) -> None:
    fleet = make_fleet(nodes=22, gpus="1xA100-80GB")
    layouts = tmp_path / "layouts.yml"
    layouts.write_text(LAYOUTS)
    where = ("-i", fleet.inventory)
    first = fleet.nodes[0].name
    assert migprov("apply", layouts, "seven", *where, "--limit", first).code == 0
    done = writes(fleet)

    answer = migprov("apply", layouts, "seven", *where, "--check", "--diff")
    assert answer.code == 0
    assert answer.out.count(": would change") == 1
    assert "and 18 more (21 nodes): would change\n  GPU 0: enable MIG mode\n" in answer.out
    assert f"{first}: nothing to do\n" in answer.out
    assert "GPU-" not in answer.out
    answer = migprov("apply", layouts, "seven", *where, "--check", "--each")
    assert answer.out.count(": would change\n") == 21

    answer = migprov("verify", layouts, "seven", *where)
    assert answer.code == 2
    # those that are not as wanted are all named
    assert all(node.name in answer.out for node in fleet.nodes)
    assert answer.out.count("MIG mode is disabled") == 2
    assert writes(fleet) == done


def test_each_host_gets_its_own_layout(migprov: Migprov, make_fleet: Up, tmp_path: Path) -> None:
    fleet = make_fleet(nodes=3)
    folder = tmp_path / "inventory"
    (folder / "host_vars").mkdir(parents=True)
    (folder / "hosts.yml").write_text(fleet.inventory.read_text())
    (tmp_path / "layouts.yml").write_text(LAYOUTS)
    common = "mig_layouts_file: ../layouts.yml\n"
    for name, layout in (("gpu1", "voice"), ("gpu2", "seven")):
        (folder / "host_vars" / f"{name}.yml").write_text(f"{common}mig_layout: {layout}\n")

    answer = migprov("apply", "-i", folder)
    assert answer.code == 1
    assert "gpu3: mig_layout is not set; nothing was contacted" in answer.err
    assert writes(fleet) == [0, 0, 0]

    where = ("-i", folder, "--limit", "gpu1,gpu2")
    assert migprov("apply", *where).code == 0
    assert migprov("verify", *where).code == 0
    assert migprov("verify", tmp_path / "layouts.yml", "seven", "-i", folder, "--limit", "gpu2").code == 0
    # FILE and NAME win for all
    assert migprov("verify", tmp_path / "layouts.yml", "seven", *where).code == 2


def test_several_inventories(migprov: Migprov, make_fleet: Up, tmp_path: Path) -> None:
    first, second = make_fleet(nodes=1, gpus="1xT4"), make_fleet(nodes=1, gpus="1xA100-80GB")
    renamed = tmp_path / "second.yml"
    renamed.write_text(second.inventory.read_text().replace("gpu1:", "other:").replace("gpu_nodes", "others"))
    answer = migprov("info", "-i", first.inventory, "-i", renamed, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert [line["host"] for line in answer.lines] == ["gpu1", "other"]


def results(*hosts: str) -> list[Result]:
    steps = ({"action": "reset_gpu", "gpu": 0, "uuid": "GPU-1"},)
    return [Result(host, "info", after={"gpus": [], "name": "é"}, steps=steps, planned=steps) for host in hosts]


@pytest.mark.parametrize("came", ["abcd", "dcba", "bdac", "ca", "d", ""])
def test_results_are_told_in_the_inventorys_order(came: str) -> None:
    told = list(in_order(results(*came), "abcd"))
    assert told == results(*sorted(came))


@pytest.mark.parametrize("most", [0, 100, 300])
def test_results_wait_in_memory_where_the_disk_is_full(most: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    came = results(*"dbca")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        told = list(in_order(came, "abcd"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told == results(*"abcd")


def test_results_wait_in_memory_where_there_is_no_folder_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")
    assert list(in_order(results(*"dbca"), "abcd")) == results(*"abcd")


def test_a_result_is_told_as_soon_as_it_is_its_turn() -> None:
    seen: list[str] = []

    def coming() -> Iterator[Result]:
        for result, before in zip(results(*"bacd"), ([], [], ["a", "b"], ["a", "b", "c"]), strict=True):
            assert seen == before
            yield result

    for result in in_order(coming(), "abcd"):
        seen.append(result.host)
    assert json.dumps(seen) == '["a", "b", "c", "d"]'
