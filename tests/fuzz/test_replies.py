"""Replies of a node that somebody else rules: refused, or shown harmlessly; never a traceback, an escape or a hang."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migprov.cli import exits, output, text, timeline
from migprov.connect import holders
from migprov.connect.command import understand
from migprov.errors import BadReply, MigprovError
from migprov.layouts import export
from migprov.result import Result
from migprov.sim.driver import SimNode
from migprov.sim.nodes import Fleet, FleetNode

from .node_process import node_process
from .values import ANYTHING, ODD_TEXTS, near, places

pytestmark = pytest.mark.long

LONG = os.environ.get("MIGPROV_FUZZ") == "long"
ACTIVE = "\x1b[2J\x1b]0;owned\x07[red]\x9b31m[/] \u202e:skull:\u2066\ud800\r\b[link=file:///]"


def ask(program: Any, task: str, check: bool = False, **params: Any) -> dict[str, Any]:
    request = {"protocol": 1, "task": task, "params": params, "check": check, "who": "me@here"}
    reply: dict[str, Any] = json.loads(program.run(json.dumps(request).encode()).out)
    return reply


@pytest.fixture(scope="module")
def replies() -> Iterator[list[dict[str, Any]]]:
    """Replies of the real program that have everything in them that a reply can have."""
    with tempfile.TemporaryDirectory() as folder:
        sim = SimNode.create(Path(folder) / "node", gpus="2xA100-80GB,1xT4")
        (Path(folder) / "home").mkdir()
        cut = {
            "mig_enabled": True,
            "instances": ["3g.40gb", {"profile": "3g.40gb", "compute_instances": ["1c.3g.40gb"]}],
        }
        first, both = [{"devices": [0], **cut}], [{"devices": [0, 1], **cut}]
        with node_process({"PATH": os.environ["PATH"], "HOME": f"{folder}/home", **sim.env()}) as program:
            holder = sim.hold(1, 100, command="python3")
            try:
                found = [
                    ask(program, "layout", check=True, entries=first),
                    ask(program, "layout", entries=first),
                    ask(program, "layout", entries=both),
                    ask(program, "drain", check=True, drain="terminate"),
                    ask(program, "info", profiles=True),
                    ask(program, "verify", entries=first, cuda=True),
                    ask(program, "verify", entries=both),
                    ask(program, "layout", entries=[{"devices": [2], "mig_enabled": True}]),
                    ask(program, "rollback"),
                    ask(program, "history"),
                ]
            finally:
                sim.release(holder)
        assert [one["error"] and one["error"]["code"] for one in found] == [
            *(None, None, "gpu_busy", None, None, None, "not_as_wanted", "not_mig_capable", None, None)
        ]  # fmt: skip
        yield found


def shown(reply: dict[str, Any]) -> str:
    """All that the command would print of a reply, whatever it was asked; the JSON is looked at here."""
    results = [Result.from_reply("gpu1", reply), Result.from_reply("gpu2", reply)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        output.show(text.node_info(results[0]))
        output.show(text.changes(results, diff=True, check=results[0].check))
        output.show(text.node_verdict(results[0]))
        output.show(timeline.timelines(results))
        exits.tell_node(results[0])
        assert exits.of_results(results) in (0, 2, 4)
        for compatible in (True, False):
            with contextlib.suppress(MigprovError):
                output.write(export(results[0].after or {"gpus": []}, compatible=compatible))
        if results[0].after:
            holders.holders(results[0].after, "all")
    in_json = io.StringIO()
    with contextlib.redirect_stdout(in_json):
        output.print_json(results)
    lines = in_json.getvalue().split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert json.loads(line, parse_constant=_no_number)["host"] in ("gpu1", "gpu2")
    return out.getvalue() + err.getvalue() + in_json.getvalue()


def _no_number(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def check(stdout: bytes | str) -> bool:
    """Whether the reply was believed; then, or in the refusal, nothing acts on a terminal."""
    try:
        reply = understand(0, stdout, b"", host="gpu1")
    except BadReply as error:
        said, believed = str(error), False
        assert len(said) < 1500
        assert "\n" not in said
    else:
        said, believed = shown(reply), True
    acting = {char for char in said if not char.isprintable() and char != "\n"}
    assert acting == set()
    said.encode()  # half characters have no encoding
    return believed


def test_the_real_replies_are_believed(replies: list[dict[str, Any]]) -> None:
    for reply in replies:
        assert check(json.dumps(reply))


@given(st.data())
def test_replies_near_a_real_one(replies: list[dict[str, Any]], data: st.DataObject) -> None:
    check(json.dumps(data.draw(near(st.sampled_from(replies)))))


@given(st.data(), ANYTHING)
def test_anything_in_any_place(replies: list[dict[str, Any]], data: st.DataObject, value: Any) -> None:
    reply = json.loads(json.dumps(data.draw(st.sampled_from(replies))))
    holder, key = data.draw(st.sampled_from(list(places(reply))))
    holder[key] = value
    check(json.dumps(reply))


@given(st.data(), st.sampled_from((ACTIVE, *ODD_TEXTS)))
def test_any_text_in_every_text(replies: list[dict[str, Any]], data: st.DataObject, odd: str) -> None:
    reply = json.loads(json.dumps(data.draw(st.sampled_from(replies))))
    chance = data.draw(st.sampled_from((1.0, 0.2)))
    pick = random.Random(data.draw(st.integers()))
    for holder, key in places(reply):
        if isinstance(holder[key], str) and key not in ("profile", "ci_profile") and pick.random() < chance:
            holder[key] = odd
    assert check(json.dumps(reply))


def test_what_markup_would_do_is_printed_as_it_is(replies: list[dict[str, Any]]) -> None:
    reply = json.loads(json.dumps(replies[2]))
    for process in reply["after"]["gpus"][1]["processes"] + reply["error"]["holders"]:
        process["command"] = "[red]x[/red] :skull:"
    for gpu in reply["after"]["gpus"]:
        gpu["name"], gpu["product"] = "[bold]H200[/bold]", None
    reply["after"]["driver_version"] = "[blink]1"
    text_ = shown(understand(0, json.dumps(reply), "", host="gpu1"))
    for whole in ("[red]x[/red] :skull:", "[bold]H200[/bold]", "[blink]1"):
        assert whole in text_


@given(st.data(), st.binary(max_size=3), st.integers(), st.booleans())
def test_bytes_near_a_reply(
    replies: list[dict[str, Any]], data: st.DataObject, noise: bytes, seed: int, cut: bool
) -> None:
    text_ = bytearray(json.dumps(data.draw(st.sampled_from(replies))).encode())
    chance = random.Random(seed)
    for _ in range(3):
        at = chance.randrange(len(text_))
        text_[at : at + chance.randrange(3)] = noise
    check(bytes(text_[: chance.randrange(len(text_))] if cut else text_))


def _many(replies: list[dict[str, Any]], count: int) -> dict[str, str]:
    reply = json.loads(json.dumps(replies[4]))
    busy = json.loads(json.dumps(replies[2]))
    gpu = max(reply["after"]["gpus"], key=lambda one: len(one["instances"]))
    process = busy["error"]["holders"][0]
    instance = gpu["instances"][0]
    full = {**gpu, "instances": [{**instance, "compute_instances": instance["compute_instances"][:1] * 16}] * 16}
    other = {**full, "uuid": "GPU-other"}
    most = 64 if LONG else 16
    return {
        "many GPUs": json.dumps({**reply, "after": {"gpus": [gpu] * count}}),
        "many processes": json.dumps({**reply, "after": {"gpus": [{**gpu, "processes": [process] * count}]}}),
        "many steps": json.dumps({**replies[1], "steps": replies[1]["steps"] * count}),
        "many differences": json.dumps({**busy, "error": {**busy["error"], "differences": ["x"] * count}}),
        "many lists": '{"protocol": 1, "data": [' + "[]," * (5 << 20) + "[]]}",
        "many mappings in data": json.dumps({**reply, "data": {"x": [{}] * (2 << 20)}}),
        "a long text": json.dumps({**reply, "after": {"driver_version": "\x1b" * (2 << 20), "gpus": []}}),
        "deep": '{"protocol": 1, "data": ' + "[" * 500_000,
        "much to compare": json.dumps({**reply, "before": {"gpus": [full] * most}, "after": {"gpus": [other] * most}}),
        "many lines": '{"protocol"}\n' * (1 << 20),
    }


HEAVY = f"""
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from tests.fuzz.test_replies import check
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, flush=True)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    check(path.read_bytes())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - used < 60
"""


@pytest.mark.parametrize("count", [2_000, 60_000] if LONG else [2_000])
def test_a_heavy_reply_takes_neither_long_nor_much_memory(
    replies: list[dict[str, Any]], tmp_path: Path, count: int
) -> None:
    many = _many(replies, count)
    for name, reply in many.items():
        (tmp_path / name).write_text(reply)
    done = subprocess.run([sys.executable, "-c", HEAVY, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[-2000:]) == (0, "")
    assert done.stdout.splitlines() == sorted(many)


# -- the whole command, and a node whose python3 is somebody else's --------------------------------------------------


@pytest.fixture
def node(make_fleet: Callable[..., Fleet]) -> FleetNode:
    return make_fleet(gpus="1xA100-80GB").nodes[0]


def hostile(node: FleetNode, script: str) -> None:
    """What the node runs in place of Python."""
    path = node.directory / "bin" / "python-of-somebody"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    told = node.inventory.read_text()
    assert node.interpreter in told
    (node.directory / "inventory.yml").write_text(told.replace(node.interpreter, str(path)))


def run(node: FleetNode, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command on that node, in 1 GiB of memory."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments, "-i", str(node.directory / "inventory.yml")],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode("utf-8", "replace")
    said = (done.stdout + done.stderr).decode(environment.get("PYTHONIOENCODING", "utf-8"))
    assert {char for char in said if not char.isprintable() and char != "\n"} == set()
    return done


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from migprov.cli import main
main()
"""
ANSWERS = {
    "escapes": "printf '\\033[2J\\033]0;owned\\007\\n'; printf '\\033[31m' >&2; exit 3",
    "endless": "yes '{\"protocol\": 1'",
    "endless without a line end": "cat /dev/zero",
    "endless errors": "yes >&2",
    "killed": "kill -9 $$",
    "nothing": "exit 0",
    "our words": "printf 'migprov-boot: \\033[2J' >&2; exit 113",
    "deep": "printf '{\"protocol\": 1, \"data\": '; head -c 9000000 /dev/zero | tr '\\0' '['",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_node_that_answers_something_else(node: FleetNode, name: str) -> None:
    hostile(node, ANSWERS[name])
    limit = "3" if name == "endless errors" else "60"
    done = run(node, "info", "--json", "--call-timeout", limit)
    assert done.returncode in (2, 4)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["failed"]
    if name in ("escapes", "our words"):
        assert run(node, "info").returncode == 2


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_odd_texts_on_any_terminal(node: FleetNode, replies: list[dict[str, Any]], encoding: str) -> None:
    reply = json.loads(json.dumps(replies[2]))
    for holder, key in list(places(reply)):
        if key in ("command", "user", "name", "message", "next", "driver_version"):
            holder[key] = ACTIVE + "é漢"
    answer = node.directory / "answer"
    answer.write_text(json.dumps(reply))
    hostile(node, f"cat {answer}")
    for task in ("info", "history") if LONG else ("info",):
        assert run(node, task, PYTHONIOENCODING=encoding).returncode == 2
        done = run(node, task, "--json", PYTHONIOENCODING=encoding)
        (line,) = done.stdout.splitlines()
        error = json.loads(line)["error"]
        assert error["code"] == "gpu_busy"
        assert error["message"].endswith("é漢")
        assert "[red]" in error["message"]
