"""One task on many nodes: real servers, some of which are down, and what the caller gets to know."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import migprov
from migprov import Result, Target, errors
from migprov.fleet import Finished, Started, run

HALF = {"profile": "3g.40gb", "start": None, "compute_instances": None}
ENTRY = {"device_filter": None, "devices": [1], "mig_enabled": True, "instances": [HALF, HALF], "source": "test:1"}


def target(node: Any, **options: Any) -> Target:
    given = {
        "name": node.name,
        "port": node.port,
        "user": node.user,
        "key_files": (str(node.key),),
        "ssh_config": "none",
    }
    return Target(node.host, **{**given, "known_hosts": str(node.known_hosts), "become": True, **options})


@pytest.fixture
def down() -> Iterator[Target]:
    """A node whose port nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Target("127.0.0.1", name="down", port=taken.getsockname()[1], ssh_config="none")


def test_every_node_gets_a_result_in_order(make_fleet: Callable[..., Any], down: Target):
    fleet = make_fleet(3)
    targets = [target(fleet.nodes[2]), down, target(fleet.nodes[0]), target(fleet.nodes[1], user="nosuchuser")]
    with pytest.raises(errors.FleetError) as caught:
        run(targets, lambda node: node.info())
    results = caught.value.results
    assert list(results) == ["gpu3", "down", "gpu1", "gpu2"]
    codes = {name: result.error and result.error["code"] for name, result in results.items()}
    assert codes == {"gpu3": None, "down": "unreachable", "gpu1": None, "gpu2": "auth"}
    assert list(caught.value.failed) == list(caught.value.unreachable) == ["down", "gpu2"]
    assert "2 of 4 nodes did not succeed: down: 127.0.0.1 port" in str(caught.value)
    assert run(targets, lambda node: node.info(), raise_on_error=False).keys() == results.keys()
    assert len(results["gpu1"].after["gpus"]) == 3


def test_a_layout_on_many_nodes_and_again(make_fleet: Callable[..., Any]):
    targets = [target(node) for node in make_fleet(2)]
    planned = migprov.run(targets, lambda node: node.layout([ENTRY], check=True))
    first = migprov.run(targets, lambda node: node.layout([ENTRY]))
    second = migprov.run(targets, lambda node: node.layout([ENTRY]))
    assert [result.changed for result in first.values()] == [True, True]
    assert [result.steps for result in first.values()] == [result.steps for result in planned.values()]
    assert [(result.changed, result.steps) for result in second.values()] == [(False, ()), (False, ())]
    diff = first["gpu1"].diff
    assert "--- gpu1 before\n+++ gpu1 after\n" in diff
    assert diff.count("\n+  3g.40gb") == 2
    assert second["gpu1"].diff == ""


def test_a_node_that_refuses_is_a_result(make_fleet: Callable[..., Any]):
    fleet = make_fleet(1)
    results = run([target(fleet.nodes[0])], lambda node: node.mig_mode(True, gpus=[7]), raise_on_error=False)
    assert results["gpu1"].failed
    assert not results["gpu1"].unreachable
    assert results["gpu1"].error["code"] == "unknown_gpu"
    assert results["gpu1"].task == "mig_mode"


def test_events_come_from_one_thread_and_count(make_fleet: Callable[..., Any], down: Target):
    targets = [*(target(node) for node in make_fleet(3)), down]
    seen: list[tuple[Any, int]] = []
    run(
        targets,
        lambda node: node.info(),
        forks=2,
        on_event=lambda event: seen.append((event, threading.get_ident())),
        raise_on_error=False,
    )
    events = [event for event, _ in seen]
    assert {thread for _, thread in seen} == {threading.get_ident()}
    assert {event.total for event in events} == {4}
    finished = [event for event in events if isinstance(event, Finished)]
    assert [event.done for event in finished] == [1, 2, 3, 4]
    for name in ("gpu1", "gpu2", "gpu3", "down"):
        kinds = [type(event) for event in events if event.host == name]
        assert kinds == [Started, Finished]


def local(name: str) -> Target:
    return Target("localhost", name=name, connection="local")


def result(node: Any) -> Result:
    return Result(node.name, "info")


@pytest.mark.parametrize("forks", [1, 3, 50])
def test_no_more_than_forks_at_once(forks: int):
    now, most, lock = 0, 0, threading.Lock()
    full, too_many = threading.Barrier(min(forks, 10)), threading.Event()

    def task(node: Any) -> Result:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now > forks:
                too_many.set()
        if int(node.name) < min(forks, 10):
            full.wait(60)  # the first ones are all in here at once, or this breaks
            too_many.wait(0.2)
        with lock:
            now -= 1
        return result(node)

    results = run([local(str(number)) for number in range(10)], task, forks=forks)
    assert most == min(forks, 10)
    assert list(results) == [str(number) for number in range(10)]


def test_a_bug_in_the_task_costs_nobody_else_the_result():
    def task(node: Any) -> Result:
        if node.name == "b":
            raise ZeroDivisionError("oops")
        return result(node)

    with pytest.raises(errors.FleetError) as caught:
        run([local("a"), local("b"), local("c")], task)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [one.failed for one in caught.value.results.values()] == [False, True, False]
    assert "the task raised ZeroDivisionError: oops" in caught.value.results["b"].error["message"]


def test_no_node_is_begun_after_the_deadline():
    def task(node: Any) -> Result:
        raise AssertionError("begun")

    results = run([local("a"), local("b")], task, deadline_s=0, raise_on_error=False)
    assert [one.error["code"] for one in results.values()] == ["timeout", "timeout"]
    assert "nothing was changed" in results["a"].error["message"]


@pytest.mark.parametrize(("names", "forks", "says"), [("aa", 1, "two nodes have the name 'a'"), ("a", 0, "forks is 0")])
def test_what_is_wrong_with_the_call_contacts_nobody(names: str, forks: int, says: str):
    with pytest.raises(errors.BadRequest, match=says):
        run([local(name) for name in names], lambda node: pytest.fail("contacted"), forks=forks)


def test_no_nodes_no_results():
    assert run([], result) == {}


def test_an_observer_that_fails_waits_for_nodes_in_hand():
    ended: list[str] = []

    def observe(event: Any) -> None:
        raise RuntimeError("my progress bar broke")

    def task(node: Any) -> Result:
        ended.append(node.name)
        return result(node)

    with pytest.raises(RuntimeError, match="progress bar"):
        run([local("a"), *(local(str(n)) for n in range(50))], task, on_event=observe, forks=1)
    assert ended[:1] == ["a"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("migprov-")]


INTERRUPTED = """
import sys, threading
from migprov import Result, Target
from migprov.errors import FleetInterrupted
from migprov.fleet import run
go = threading.Event()
fleet = sys.modules["migprov.fleet.run"]._Fleet
events = fleet.events
def told(self):
    if self._stopping:  # from now on no node is begun
        print("stopping", flush=True)
    return events(self)
fleet.events = told
def task(node):
    print(f"begun {node.name}\\n", end="", flush=True)  # one write, for two threads print at once
    assert go.wait(60)
    return Result(node.name, "layout", changed=True)
def watch():
    sys.stdin.readline()
    go.set()
threading.Thread(target=watch, daemon=True).start()
try:
    run([Target("localhost", name=n, connection="local") for n in "abcdef"], task, forks=2)
except FleetInterrupted as interrupt:
    print("interrupted", *interrupt.results, all(r.changed for r in interrupt.results.values()), flush=True)
    print("left", *interrupt.in_hand, flush=True)
"""


@pytest.mark.parametrize(
    ("twice", "said"), [(False, "interrupted a b True\nleft\n"), (True, "interrupted True\nleft a b\n")]
)
def test_ctrl_c_waits_for_nodes_in_hand_and_begins_no_other(tmp_path: Path, twice: bool, said: str):
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        begun = sorted(process.stdout.readline().strip() for _ in range(2))
        assert begun == ["begun a", "begun b"]
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        if twice:
            os.kill(process.pid, signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        else:
            out, _ = process.communicate("go\n", timeout=60)
    finally:
        process.kill()
        process.wait()
    assert out == said
