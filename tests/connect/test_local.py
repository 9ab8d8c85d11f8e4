"""This machine without SSH, and the Node on top."""

from __future__ import annotations

import os
import signal
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


class Recorder:
    """A connection that notes the requests and answers with a reply."""

    def __init__(self, **reply: Any) -> None:
        self.requests: list[dict[str, Any]] = []
        self.reply = reply

    def execute(self, command: str, stdin: bytes, *, timeout: float) -> Finished:
        import json

        self.requests.append(json.loads(stdin))
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
        (lambda n: n.info(), "info", {"processes": True}, False),
        (lambda n: n.info(processes=False), "info", {"processes": False}, False),
        (lambda n: n.driver("535.1"), "driver", {"minimum": "535.1"}, False),
        (lambda n: n.mig_mode(True, check=True), "mig_mode", {"enabled": True, "gpus": "all"}, True),
        (lambda n: n.reset(1, force=True), "reset", {"gpus": [1], "force": True}, False),
        (lambda n: n.reset(["GPU-1", 0]), "reset", {"gpus": ["GPU-1", 0], "force": False}, False),
        (
            lambda n: n.instances(["3g.40gb", {"profile": "1g.10gb", "start": 4}], "GPU-1"),
            "instances",
            {
                "instances": [
                    {"profile": "3g.40gb", "start": None, "compute_instances": None},
                    {"profile": "1g.10gb", "start": 4, "compute_instances": None},
                ],
                "gpus": ["GPU-1"],
            },
            False,
        ),
        (lambda n: n.verify(Layout()), "verify", {"entries": [{"devices": "all"}]}, False),
        (lambda n: n.layout([{"devices": [1]}], check=True), "layout", {"entries": [{"devices": [1]}]}, True),
    ],
)
def test_each_task_sends_its_request(use: Any, task: str, params: dict[str, Any], check: bool):
    connection = Recorder()
    use(Node(Target("gpu1"), connection))
    assert connection.requests == [{"protocol": 1, "task": task, "params": params, "check": check}]


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
