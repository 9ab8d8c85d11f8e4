"""Several processes in the way of one change: each has its time, and what is told of them is true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migprov.mig.errors import GpuBusy
from migprov.node import ending

from .background import running, until
from .conftest import Machine, entry
from .test_drain import _say_that_the_holder_is, ended, needs_root, step_for, terminate

SAVES_FIRST = """
import os, signal, sys, time
kept, times = open(sys.argv[1]), []
def told(*_):
    times.append(time.monotonic())
signal.signal(signal.SIGTERM, told)
print(flush=True)
while not times or time.monotonic() < times[0] + 0.5:
    time.sleep(0.05)
open(sys.argv[2], "w").write(str(len(times)))
"""


@contextmanager
def saving(node: Machine, gpu: int, into: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that needs half a second after SIGTERM to save what it did."""
    device = str(Path(node.env()["MIGPROV_DEV"]) / f"nvidia{gpu}")
    command = [sys.executable, "-c", SAVES_FIRST, device, str(into)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("gpu", [0, 1])
def test_who_obeys_has_time_to_save_though_another_uses_it_up(machine, tmp_path, gpu):
    node = machine("2xA100-80GB")
    stubborn = node.sim.hold(0, 100, ignores_term=True)
    with saving(node, gpu, tmp_path / "saved") as child:
        reply = node.call("mig_mode", enabled=True, drain=terminate(3))
    assert reply["error"] is None
    assert (tmp_path / "saved").read_text() == "1"  # one SIGTERM, for some programs leave at once on a second
    assert sorted(ended(reply)) == sorted([int(stubborn), child.pid])


def test_time_for_work_is_no_hang_of_the_driver(machine):
    node = machine()
    node.sim.hold(0, 100, ignores_term=True)
    params = {"enabled": True, "drain": terminate(1.5)}
    assert node.raw({"protocol": 1, "task": "mig_mode", "params": params, "step_limit_s": 1})["error"] is None


def test_nobody_on_a_gpu_is_asked_to_end_when_one_must_not_be(monkeypatch):
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *args: sent.append(args))
    with subprocess.Popen(["sleep", "600"]) as child:
        with pytest.raises(GpuBusy, match="depends on"):
            ending.ask([step_for(child.pid), step_for(os.getppid())])
        assert [number for _, number in sent if number] == []
        monkeypatch.undo()
        child.kill()


def test_who_was_asked_and_has_gone_is_told_when_the_run_ends_early(machine):
    node = machine()
    stays = node.sim.hold(0, 100, ignores_term=True)
    goes = node.sim.hold(0, 100)
    with running(node, "mig_mode", enabled=True, drain=terminate(600)) as run:
        until(lambda: not goes.alive, "its end")
        run.child.send_signal(signal.SIGTERM)
        reply = run.reply()
    assert reply["error"]["code"] == "stopped"
    assert reply["changed"] and ended(reply) == [int(goes)]
    assert stays.alive and node.sim.write_count() == 0


def test_work_that_came_while_a_gpu_was_drained_is_told(machine):
    node = machine()
    first = node.sim.hold(0, 100)
    with running(node, "drain", drain={"policy": "wait", "timeout_s": 600}) as run:
        run.until_journal()
        second = node.sim.hold(0, 100)
        node.sim.hold(0, 0, kind="monitor")
        node.sim.release(first)
        reply = run.reply()
    assert reply["error"]["code"] == "gpu_busy"
    assert "is in use again" in reply["error"]["message"]
    assert [holder["pid"] for holder in reply["error"]["holders"]] == [int(second)]


@needs_root
@pytest.mark.parametrize("leaves", [True, False])
def test_a_process_that_cannot_be_seen_is_waited_for_by_what_the_driver_lists(machine, leaves):
    node = machine()
    holder = node.sim.hold(0, 77)
    _say_that_the_holder_is(node, 1 << 22)  # the driver knows it under a number that is nobody's here
    try:
        timeout_s = 600 if leaves else 0.6
        with running(node, "drain", drain={"policy": "wait", "timeout_s": timeout_s}) as run:
            run.until_journal()
            if leaves:
                _forget(node)
            reply = run.reply()
    finally:
        os.kill(holder, signal.SIGKILL)  # the node no longer knows it
    assert (reply["error"] is None) == leaves
    assert leaves or f"process {1 << 22} (?, user ?) still runs" in reply["error"]["message"]


def _forget(node: Machine) -> None:
    from migprov.sim import state

    with state.changing(node.sim.directory / "state") as raw:
        raw.processes[0].used = 0


def test_an_agent_may_be_named_without_its_suffix(machine):
    node = machine()
    agent = node.sim.service("my-agent")
    reply = node.call("layout", entries=[entry("7g.80gb")], drain={"agents": ["my-agent"]})
    assert reply["error"] is None
    assert reply["steps"][0]["unit"] == "my-agent.service" and agent.active
