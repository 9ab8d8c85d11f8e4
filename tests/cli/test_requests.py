"""What is wrong with a request ends with exit code 1, in one sentence, before any node is contacted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Migprov

INVENTORY = "127.0.0.1,"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage:"),
        (["nonsense"], "No such command 'nonsense'"),
        (["info"], "either -i INVENTORY or --local"),
        (["info", "-i", INVENTORY, "--local"], "not both"),
        (["info", "--local", "--limit", "a"], "go with -i"),
        (["info", "--local", "--forks", "3"], "go with -i"),
        (["info", "-i", INVENTORY, "--forks", "0"], "--forks"),
        (["info", "-i", INVENTORY, "--forks", "many"], "--forks"),
        (["info", "-i", INVENTORY, "--call-timeout", "0"], "--call-timeout"),
        (["info", "-i", INVENTORY, "--call-timeout", "nan"], "'nan' is not a number to count with"),
        (["info", "-i", INVENTORY, "--call-timeout", "inf"], "--call-timeout"),
        (["info", "-i", INVENTORY, "--node-timeout", "1e400"], "--node-timeout"),
        (["info", "-i", INVENTORY, "--timeout", "9"], "--timeout"),
        (["apply", "file", "name", "-i", INVENTORY, "--drain", "kill"], "--drain"),
        (["apply", "file", "name", "-i", INVENTORY, "--drain", "wait", "--timeout", "-1"], "--timeout"),
        (["rollback", "-i", INVENTORY, "--timeout", "604801"], "--timeout"),
        (["rollback"], "either -i INVENTORY or --local"),
        (["history", "-i", INVENTORY, "--check"], "--check"),
        (["info", "-i", INVENTORY, "--wrong"], "--wrong"),
        (["info", "-i", INVENTORY, "more"], "unexpected extra argument"),
        (["apply", "--local"], "Say which layout"),
        (["apply", "file", "--local"], "FILE and NAME go together"),
        (["verify", "file", "--local"], "FILE and NAME go together"),
        (["apply", "/no/such/file", "x", "--local"], "/no/such/file"),
        (["info", "-i", "/no/such/inventory"], "no inventory /no/such/inventory"),
        (["info", "-i", INVENTORY, "--limit", "other"], "matches 'other'"),
        (["rollback", "-i", INVENTORY, "--limit", ""], "The limit '' names no host"),
        (["export", "--json", "--local"], "--json"),
        (["sim", "up", "--nodes", "0"], "--nodes"),
        (["sim", "up", "--gpus", "3xNOSUCH"], "NOSUCH"),
    ],
)
def test_a_wrong_request(migprov: Migprov, tmp_path: Path, arguments: list[str], said: str) -> None:
    answer = migprov(*arguments, cwd=tmp_path)
    assert answer.code == 1
    assert answer.out == ""
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["apply", "verify"])
def test_a_wrong_layout_file_names_file_and_line(migprov: Migprov, tmp_path: Path, layouts: Path, command: str) -> None:
    answer = migprov(command, layouts, "voise", "-i", INVENTORY)
    assert (answer.code, answer.out) == (1, "")
    assert "no layout named" in answer.err
    assert "voice" in answer.err
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(layouts.read_text().replace("3g.40gb: 2", "19: 2"))
    answer = migprov(command, wrong, "voice", "-i", INVENTORY, "--json")
    assert (answer.code, answer.out) == (1, "")
    assert f"{wrong}:6" in answer.err


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ANSIBLE_CONFIG": "wrong.cfg"}, "Invalid value provided for 'integer': 'many'"),
        ({"ANSIBLE_HOME": "/dev/null/mine"}, "/dev/null/mine"),  # as where HOME cannot be written in
    ],
)
def test_ansible_cannot_begin(migprov: Migprov, tmp_path: Path, environment: dict[str, str], said: str) -> None:
    (tmp_path / "wrong.cfg").write_text("[defaults]\nforks = many\n")
    answer = migprov("info", "-i", INVENTORY, cwd=tmp_path, **environment)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("Error: Ansible, which reads inventories, cannot begin: ")
    assert said in answer.err
    assert "nothing was contacted.\nNext: " in answer.err


def test_a_host_that_cannot_be_honoured(migprov: Migprov, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("gpu1 ansible_connection=docker\n")
    answer = migprov("info", "-i", tmp_path / "hosts")
    assert (answer.code, answer.out) == (1, "")
    assert "gpu1: ansible_connection" in answer.err
    assert "Next: " in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-h"],
        ["--version"],
        ["info", "--help"],
        ["apply", "-h"],
        ["export", "-h"],
        ["rollback", "-h"],
        ["history", "-h"],
        ["sim", "-h"],
        ["sim", "up", "-h"],
    ],
)
def test_help_is_no_error(migprov: Migprov, arguments: list[str]) -> None:
    answer = migprov(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom migprov.cli.main import run\nrun(['--help'])\n"
        "heavy = {'ansible', 'paramiko', 'jsonschema', 'rich', 'yaml', 'pynvml', 'cryptography'}\n"
        "sys.exit(repr(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
