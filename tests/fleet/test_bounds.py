"""A node that hangs costs its own time only: it is reported, its worker is free, and nothing is said that is not so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from migprov import Result, Target
from migprov.connect.node import Node
from migprov.errors import BadRequest, ConnectionLost
from migprov.fleet import Finished, run, run_iter, turn

from .test_run import ENTRY, local, result, target

LONG_S = 600.0
SHORT_S = 1.0


@pytest.fixture
def silent() -> Iterator[Target]:
    """A node that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield Target(
            "127.0.0.1", name="silent", port=server.getsockname()[1], ssh_config="none", connect_timeout=LONG_S
        )


class Hanging:
    """A connection whose calls come back when the test says so, whatever time they were given."""

    def __init__(self) -> None:
        self.go, self.closed = threading.Event(), threading.Event()
        self.commands: list[str] = []

    def execute(self, command: str, stdin: bytes, *, timeout: float) -> Any:
        self.commands.append(command)
        assert self.go.wait(60)
        raise ConnectionLost("late", host="gpu1")

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """Every node has this connection."""
    connection = Hanging()
    monkeypatch.setattr(turn, "open_node", lambda where: Node(where, connection))
    yield connection
    connection.go.set()


def test_connecting_counts_and_the_worker_is_free_afterwards(silent: Target) -> None:
    results = run([silent, local("a"), local("b")], result, forks=1, node_timeout_s=3, raise_on_error=False)
    assert [one.failed for one in results.values()] == [True, False, False]
    error = results["silent"].error
    assert error is not None
    assert error["code"] == "timeout"
    assert "no connection within the 3 s of this node; nothing was changed" in error["message"]


def test_a_node_that_answers_too_late_is_not_asked_any_more(
    hanging: Hanging, silent: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was reported as unchanged, so nothing may begin there afterwards."""
    answers = threading.Event()

    def open_late(where: Target) -> Node:
        assert answers.wait(60)
        return Node(where, hanging)

    monkeypatch.setattr(turn, "open_node", open_late)
    tasks: list[str] = []

    def task(node: Any) -> Result:
        tasks.append(node.name)
        return node.layout([ENTRY])

    results = run([silent], task, node_timeout_s=SHORT_S, raise_on_error=False)
    answers.set()
    assert hanging.closed.wait(60)
    assert (tasks, hanging.commands) == ([], [])
    error = results["silent"].error
    assert error is not None
    assert (error["code"], "nothing was changed" in error["message"]) == ("timeout", True)


def test_a_read_that_hangs_is_broken_off(hanging: Hanging) -> None:
    results = run([Target("gpu1")], lambda node: node.info(), node_timeout_s=SHORT_S, raise_on_error=False)
    error = results["gpu1"].error
    assert error is not None
    assert (error["code"], results["gpu1"].task) == ("timeout", "info")
    assert "no answer within the 1 s of this node; nothing was changed" in error["message"]
    assert hanging.closed.wait(60)


def test_a_change_that_hangs_is_left_to_itself_and_its_outcome_is_unknown(hanging: Hanging) -> None:
    results = run([Target("gpu1")], lambda node: node.layout([ENTRY]), node_timeout_s=SHORT_S, raise_on_error=False)
    error = results["gpu1"].error
    assert error is not None
    assert error["code"] == "timeout"
    assert "was not broken off, what it did is not known" in error["message"]
    assert not hanging.closed.is_set()
    hanging.go.set()
    assert hanging.closed.wait(60)


def test_a_call_gets_what_is_left_of_the_nodes_time(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(1, gpus="1xT4")
    fleet.nodes[0].sim.fault(call="nvmlDeviceGetCount_v2", hang_s=LONG_S)
    results = run([target(fleet.nodes[0])], lambda node: node.info(), node_timeout_s=3, raise_on_error=False)
    assert results["gpu1"].error is not None
    assert results["gpu1"].error["code"] == "timeout"


def test_a_wait_that_was_asked_for_is_not_counted(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(1)
    given: list[float] = []

    def task(node: Any) -> Result:
        execute = node._connection.execute

        def watched(command: str, stdin: bytes, *, timeout: float) -> Any:
            given.append(timeout)
            return execute(command, stdin, timeout=timeout)

        node._connection.execute = watched
        node.layout([ENTRY], check=True, drain="wait", drain_timeout=500)
        return node.layout([ENTRY], drain="wait", drain_timeout=500)

    run([target(fleet.nodes[0])], task, node_timeout_s=60)
    check, *change = given
    assert check <= 60
    assert all(500 < timeout <= 560 for timeout in change[-1:])


def test_results_come_as_nodes_finish() -> None:
    go = threading.Event()

    def task(node: Any) -> Result:
        if node.name == "slow":
            assert go.wait(60)
        return result(node)

    came = []
    for one in run_iter([local("slow"), local("b"), local("c")], task, forks=2):
        came.append(one.host)
        if one.host == "c":
            go.set()
    assert came == ["b", "c", "slow"]


def test_leaving_the_iteration_begins_no_further_node() -> None:
    begun: list[str] = []

    def task(node: Any) -> Result:
        begun.append(node.name)
        return result(node)

    targets = [local(str(number)) for number in range(20_000)]
    for _ in run_iter(targets, task, forks=1):
        break
    assert len(begun) < len(targets)


def test_a_stop_ends_the_iteration_after_the_nodes_in_hand() -> None:
    stop = threading.Event()

    def task(node: Any) -> Result:
        stop.set()
        return result(node)

    events: list[Any] = []
    came = list(run_iter([local(str(n)) for n in range(9)], task, forks=1, stop=stop, on_event=events.append))
    assert [one.host for one in came] == ["0"]
    assert [event.host for event in events if isinstance(event, Finished)] == ["0"]


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(BadRequest, match="the time for a node is 0 s"):
        run_iter([local("a")], result, node_timeout_s=0)
