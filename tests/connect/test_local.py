"""This machine without SSH, and the Node on top."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import migprov
from migprov import errors
from migprov.connect.call import Finished
from migprov.connect.holders import holders
from migprov.connect.local import LocalConnection
from migprov.connect.node import Node
from migprov.connect.target import Target


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_program_runs_here_with_the_callers_environment(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/this/one")
    python = script(home, 'echo "$LD_LIBRARY_PATH" >>"$HOME/seen"; exec /usr/bin/env python3 "$@"')
    with migprov.local(python=python) as node, suppress(errors.NodeFailed):
        assert node.info().task == "info"
    assert (home / "seen").read_text() == "/this/one\n" * 2
    assert (home / ".cache/migprov").is_dir()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cat >/dev/null; echo oops", "oops"),
        ("exit 3", "exit status 3; no output"),
        ("exec 0<&-; sleep 0.1; exit 3", "exit status 3; no output"),
        ("kill -9 $$", "exit status 137; stderr: 'Killed'"),
        ("head -c 20000000 /dev/zero", "longer than 16 MiB"),
        ("head -c 3000000 /dev/zero >&2; exit 1", "exit status 1"),
    ],
)
def test_answers_that_are_none(home: Path, text: str, says: str):
    with pytest.raises(errors.BadReply, match=says), migprov.local(python=script(home, text)) as node:
        node.info()


def test_no_answer_in_time_does_not_end_the_program(home: Path):
    python = script(home, 'cat >/dev/null; echo $$ >"$HOME/pid"; exec sleep 600')
    try:
        with pytest.raises(errors.CallTimeout, match="was not ended"), migprov.local(python=python, timeout=2) as node:
            node.info()
        os.kill(int((home / "pid").read_text()), 0)
    finally:
        with suppress(OSError, ValueError):
            os.kill(int((home / "pid").read_text()), signal.SIGKILL)


def test_ctrl_c_here_does_not_end_a_change_half_way(home: Path):
    work = 'cat >/dev/null; echo >"$HOME/begun"; until [ -e "$HOME/go" ]; do sleep 0.02; done; echo >"$HOME/done"'
    code = f"import migprov; migprov.local(python={script(home, work)!r}).info()"
    caller = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL)
    wait_for(home / "begun")
    os.killpg(caller.pid, signal.SIGINT)  # as a terminal does it
    assert caller.wait(60) != 0
    (home / "go").touch()
    wait_for(home / "done")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.01)


def test_import_migprov_needs_no_paramiko():
    code = (
        "import sys, migprov\n"
        "migprov.connect, migprov.local, migprov.Target, migprov.Result, migprov.run, migprov.FleetError\n"
        "import migprov.connect.command\n"
        "assert 'paramiko' not in sys.modules, 'slow'\n"
        "from migprov.connect.program import program\n"
        "assert callable(migprov.connect) and migprov.connect.program.program is program\n"
        "assert all(getattr(migprov, name) is not None for name in migprov.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        migprov.conect  # noqa: B018


REFUSE = {"drain": {"policy": "refuse"}, "stop_on_error": False}


class Recorder:
    """A connection that notes the requests and answers with a reply."""

    def __init__(self, **reply: Any) -> None:
        self.requests: list[dict[str, Any]] = []
        self.timeouts: list[float] = []
        self.reply = reply

    def execute(self, command: str, stdin: bytes, *, timeout: float) -> Finished:
        import json

        self.requests.append(json.loads(stdin))
        self.timeouts.append(timeout)
        shape = {"protocol": 1, "task": self.requests[-1]["task"], "check": False, "changed": False, "before": None}
        rest = {"after": None, "steps": [], "planned": [], "data": {}, "error": None}
        return Finished(0, json.dumps({**shape, **rest, **self.reply}).encode(), b"")

    def close(self) -> None: ...


class Entry:
    def to_json(self) -> dict[str, Any]:
        return {"devices": "all"}


class Layout:
    entries = (Entry(),)


@pytest.mark.parametrize(
    ("use", "task", "params", "check"),
    [
        (lambda n: n.history(), "history", {}, False),
        (lambda n: n.holders(), "info", {"processes": True}, False),
        (lambda n: n.info(), "info", {"processes": True}, False),
        (lambda n: n.info(processes=False), "info", {"processes": False}, False),
        (lambda n: n.driver("535.1"), "driver", {"minimum": "535.1"}, False),
        (lambda n: n.mig_mode(True, check=True), "mig_mode", {"enabled": True, "gpus": "all"} | REFUSE, True),
        (lambda n: n.reset(1, force=True), "reset", {"gpus": [1], "force": True} | REFUSE, False),
        (lambda n: n.reset(["GPU-1", 0]), "reset", {"gpus": ["GPU-1", 0], "force": False} | REFUSE, False),
        (
            lambda n: n.instances(["3g.40gb", {"profile": "1g.10gb", "start": 4}], "GPU-1"),
            "instances",
            {
                "instances": [
                    {"profile": "3g.40gb", "start": None, "compute_instances": None},
                    {"profile": "1g.10gb", "start": 4, "compute_instances": None},
                ],
                "gpus": ["GPU-1"],
                **REFUSE,
            },
            False,
        ),
        (lambda n: n.verify(Layout()), "verify", {"entries": [{"devices": "all"}]}, False),
        (lambda n: n.layout([{"devices": [1]}], check=True), "layout", {"entries": [{"devices": [1]}]} | REFUSE, True),
        (
            lambda n: n.layout([], drain="wait", drain_timeout=7, agents=["a.service"], stop_on_error=True),
            "layout",
            {
                "entries": [],
                "drain": {"policy": "wait", "timeout_s": 7, "agents": ["a.service"]},
                "stop_on_error": True,
            },
            False,
        ),
        (
            lambda n: n.rollback(drain={"policy": "wait", "timeout_s": 9}, agents=(), check=True),
            "rollback",
            {"drain": {"policy": "wait", "timeout_s": 9, "agents": []}, "stop_on_error": False},
            True,
        ),
        (
            lambda n: n.drain([1], "terminate", 0),
            "drain",
            {"gpus": [1], "drain": {"policy": "terminate", "timeout_s": 0}, "stop_on_error": False},
            False,
        ),
    ],
)
def test_each_task_sends_its_request(use: Any, task: str, params: dict[str, Any], check: bool):
    state = {"driver_version": "1", "gpus": []}
    connection = Recorder(after=state)
    use(Node(Target("gpu1"), connection))
    (request,) = connection.requests
    by = request.pop("who", None)
    assert request == {"protocol": 1, "task": task, "params": params, "check": check}
    if task in ("info", "driver", "verify", "history"):
        assert by is None
    else:
        assert by == f"{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()} (library)"


@pytest.mark.parametrize(
    ("drain", "said"),
    [
        ({"drain": "kill"}, "the drain policy 'kill' is none of refuse, wait, terminate"),
        ({"drain": {"police": "wait"}}, "drain must be a policy"),
        ({"drain_timeout": -1}, "timeout_s must be a number of seconds"),
        ({"drain_timeout": True}, "timeout_s must be a number of seconds"),
        ({"agents": "dcgm.service"}, "agents must be a list"),
        ({"agents": ["--now"]}, "agents must be names of systemd units"),
    ],
)
def test_what_is_no_drain_is_a_bad_request(drain: dict[str, Any], said: str):
    connection = Recorder()
    with pytest.raises(errors.BadRequest, match=said):
        Node(Target("gpu1"), connection).layout([{"devices": [1]}], **drain)
    assert connection.requests == []


@pytest.mark.parametrize(
    ("drain", "limit"),
    [("refuse", 20), ("wait", 320), ({"policy": "terminate", "timeout_s": 600}, 620)],
)
def test_the_time_for_draining_comes_on_top_of_that_for_the_call(drain: Any, limit: int):
    connection = Recorder()
    Node(Target("gpu1", timeout=20), connection).layout([{"devices": [1]}], drain=drain)
    assert connection.timeouts == [pytest.approx(limit, abs=5)]


def test_the_holders_of_chosen_gpus():
    gpus = [
        {"index": 0, "uuid": "GPU-0", "pci_bus_id": "00000000:07:00.0", "processes": [{"pid": 7}, {"pid": 8}]},
        {"index": 1, "uuid": "GPU-1", "pci_bus_id": "00000000:0F:00.0", "processes": [{"pid": 7}]},
        {"index": 2, "uuid": "GPU-2", "processes": [], "error": {"code": "gpu_lost", "message": "gone"}},
    ]
    state = {"driver_version": "1", "gpus": gpus}
    first = [{"gpu": 0, "uuid": "GPU-0", "pid": 7}, {"gpu": 0, "uuid": "GPU-0", "pid": 8}]
    second = [{"gpu": 1, "uuid": "GPU-1", "pid": 7}]
    unread = [{"gpu": 2, "code": "gpu_lost", "message": "gone"}]
    assert holders(state, "all") == {"holders": first + second, "unread": unread}
    assert holders(state, ("0F:00.0",))["holders"] == second
    assert holders(state, ("GPU-2",)) == {"holders": [], "unread": unread}


def test_holders_of_a_gpu_that_is_not_there():
    node = Node(Target("gpu1"), Recorder(after={"driver_version": "1", "gpus": []}))
    with pytest.raises(errors.NodeFailed, match="index 3 is no GPU of this node") as caught:
        node.holders(3)
    assert caught.value.error_code == "unknown_gpu"


@pytest.mark.parametrize("layout", ["all-1g.10gb", {"devices": "all"}, 7])
def test_what_is_no_layout_is_a_bad_request(layout: Any):
    with pytest.raises(errors.BadRequest, match="a layout is"):
        Node(Target("gpu1"), Recorder()).layout(layout)


def test_an_error_of_the_node_carries_the_result():
    error = {"code": "gpu_busy", "message": "GPU 1 is in use", "next": "stop process 7", "holders": [{"pid": 7}]}
    step = {"action": "reset_gpu", "gpu": 0, "uuid": "GPU-0"}
    node = Node(Target("10.0.0.1", name="gpu1"), Recorder(changed=True, steps=[step], error=error))
    with pytest.raises(errors.NodeFailed, match=r"gpu1: GPU 1 is in use. Next: stop process 7") as caught:
        node.mig_mode(True)
    result = caught.value.result
    assert caught.value.error_code == "gpu_busy"
    assert (result.host, result.failed, result.unreachable, result.changed) == ("gpu1", True, False, True)
    assert result.to_json() == {
        "host": "gpu1",
        "changed": True,
        "failed": True,
        "unreachable": False,
        "before": None,
        "after": None,
        "steps": [step],
        "error": error,
    }


def test_local_is_a_local_connection():
    with migprov.local() as node:
        assert isinstance(node._connection, LocalConnection)
        assert node.name == "localhost"
