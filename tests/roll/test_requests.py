"""What is wrong with a request is said before anything is contacted or recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migprov.errors import BadRequest
from migprov.fleet.roll import Request, extra, keeper, resume, rollout
from migprov.fleet.roll.keeper import reduced

from .control import LAYOUTS, Control

HOSTS = "gpu1.invalid,gpu2.invalid"


@pytest.fixture
def layouts(tmp_path: Path) -> str:
    path = tmp_path / "layouts.yml"
    path.write_text(LAYOUTS)
    return str(path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": "1,x"}, "'1,x'"),
        ({"steps": "0"}, "'0'"),
        ({"max_unavailable": ("nobody:1",)}, "'nobody'"),
        ({"max_unavailable": ("10%",)}, "less than one"),
        ({"floor": ("1g.10gb",)}, "floor '1g.10gb'"),
        ({"name": "nothing"}, "nothing"),
        ({"name": None}, "FILE and NAME"),
        ({"file": None, "name": None}, "mig_layout"),
        ({"file": "missing.yml"}, "missing.yml"),
        ({"inventory": ("missing",)}, "missing"),
        ({"limit": "nobody"}, "nobody"),
        ({"extra": ("word",)}, "-e takes"),
        ({"extra": ("@missing.yml",)}, "missing.yml"),
        ({"extra": ("mig_layout_steps=5",)}, "--steps"),
        ({"extra": ("mig_layout_soak=long",)}, "mig_layout_soak"),
    ],
)
def test_a_bad_request(tmp_path: Path, layouts: str, wrong: dict[str, Any], said: str) -> None:
    good: dict[str, Any] = {"inventory": (HOSTS,), "file": layouts, "name": "voice", "cwd": str(tmp_path)}
    with pytest.raises(BadRequest) as refused:
        rollout(Request(**{**good, **wrong}), folder=tmp_path / "rolls")
    assert said in str(refused.value)
    assert not (tmp_path / "rolls").exists()


def test_nothing_to_go_on_with(tmp_path: Path) -> None:
    for id in (None, "20260101-000000-abcd"):
        with pytest.raises(BadRequest, match="no roll"):
            resume(id, folder=tmp_path)


def test_on_the_command_line(control: Control) -> None:
    bad = control.run("rollout", control.layouts, "voice", "-i", HOSTS, "--steps", "many")
    assert (bad.code, "'many'" in bad.err, control.state.exists()) == (1, True, False)
    assert control.run("rollout", control.layouts, "-i", HOSTS).code == 1
    assert "No rolls were begun" in control.run("status").out


@pytest.mark.parametrize(
    "given", ["mig_layout_name=seven", "mig_layout_file=x.yml", '{"mig_layout_config": []}', "mig_layout=seven"]
)
def test_a_layout_is_named_once(control: Control, given: str) -> None:
    asked = Request((HOSTS,), str(control.layouts), "voice", extra=("a=1", given))
    with pytest.raises(BadRequest, match=r"FILE and NAME say which layout, and so does -e mig_layout"):
        rollout(asked)


def test_extra_variables(tmp_path: Path) -> None:
    (tmp_path / "vars.yml").touch()
    given = extra.parse(
        ["a=1 b='two words'", '{"token": "hush-hush", "deep": ["hidden!"]}', "@vars.yml"], str(tmp_path)
    )
    assert given == ({"a": "1", "b": "two words"}, {"token": "hush-hush", "deep": ["hidden!"]}, f"@{tmp_path}/vars.yml")
    assert extra.for_record(given) == ["a", "b", "deep", "token", f"@{tmp_path}/vars.yml"]
    assert extra.masked("1: hush-hush, hidden!, two words", given) == "1: ***, ***, ***"


def test_host_keys_stay_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """ansible-runner turns that off where nobody says otherwise."""
    from ansible import constants

    assert keeper.environment()["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    monkeypatch.setattr(constants, "HOST_KEY_CHECKING", False)
    assert keeper.environment()["ANSIBLE_HOST_KEY_CHECKING"] == "False"
    assert (Path(keeper.environment()["PATH"].split(":")[0]) / "ansible-playbook").exists()


def test_what_leaves_the_keeper() -> None:
    """Results of tasks may hold anything; what is not needed stays where it is."""
    task = {"host": "gpu1", "task": "Ask", "play": "Roll", "res": {"stdout": "hush", "msg": "hush", "before": "hush"}}
    ok = reduced({"event": "runner_on_ok", "event_data": {**task, "resolved_action": "ansible.builtin.command"}})
    assert ok is not None
    assert ok["res"] == {}
    fact = {"gpu_drain_node": {"drained": True}, "token": "hush"}
    own = {**task, "resolved_action": "ansible.builtin.set_fact", "res": {"ansible_facts": fact}}
    kept = reduced({"event": "runner_on_ok", "event_data": own})
    assert kept is not None
    assert kept["res"] == {"gpu_drain_node": {"drained": True}}
    hidden = {**task, "resolved_action": "ansible.builtin.uri", "res": {"censored": "hidden by no_log"}}
    failed = reduced({"event": "runner_on_failed", "event_data": hidden})
    assert failed is not None
    assert failed["res"] == {"msg": "hidden by no_log"}
    assert reduced({"event": "runner_item_on_ok", "event_data": task}) is None
