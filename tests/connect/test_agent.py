"""Keys of a real ssh-agent."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov import errors
from migprov.connect import keys
from migprov.connect.call import call
from migprov.connect.ssh import SshConnection

INFO = {"protocol": 1, "task": "info", "params": {}, "check": False}


def ask(server: Any, **options: Any) -> str:
    target = server.target(**options)
    connection = SshConnection(target)
    try:
        return str(call(connection, target, INFO)["task"])
    finally:
        connection.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A running agent; call it with a key file to add that."""
    said = subprocess.check_output(["ssh-agent", "-s", "-a", tmp_path / "agent"], text=True)
    pid = int(re.search(r"SSH_AGENT_PID=(\d+)", said)[1])  # type: ignore[index]
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    try:
        yield lambda path: subprocess.run(["ssh-add", "-q", path], check=True)
    finally:
        os.kill(pid, signal.SIGTERM)


def test_a_key_of_the_agent_lets_in(server, agent, tmp_path):
    agent(server.key)
    assert ask(server, key_files=()) == "info"


def test_named_keys_come_before_the_agents(server, agent, keygen, tmp_path):
    # Six wrong keys first would use up what sshd allows.
    for number in range(6):
        keygen(tmp_path / f"key{number}")
        agent(tmp_path / f"key{number}")
    assert ask(server) == "info"


def test_the_agent_signs_for_an_encrypted_file(server, agent, keygen, tmp_path):
    locked = tmp_path / "locked"
    keygen(locked)
    agent(locked)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-P", "", "-f", locked], check=True)
    (server.directory / "authorized_keys").write_text(Path(f"{locked}.pub").read_text())
    config = tmp_path / "config"
    config.write_text("IdentitiesOnly yes\n")
    assert ask(server, key_files=(str(locked),), ssh_config=str(config)) == "info"


def test_identities_only_leaves_the_agents_other_keys_alone(server, agent, keygen, tmp_path):
    agent(server.key)
    keygen(tmp_path / "mine")
    config = tmp_path / "config"
    config.write_text(f"IdentitiesOnly yes\nIdentityFile {tmp_path / 'mine'}\n")
    with pytest.raises(errors.AuthFailed, match=f"none of these keys is accepted: {tmp_path / 'mine'}; "):
        ask(server, key_files=(), ssh_config=str(config))


def test_an_agent_that_is_gone_is_none(server, monkeypatch, tmp_path):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert ask(server) == "info"


def test_a_public_key_names_one_of_the_agents(server, agent, keygen, tmp_path):
    """The private key lies elsewhere: on a token, or behind a forwarded agent."""
    agent(server.key)
    named = tmp_path / "token.pub"
    named.write_text(Path(f"{server.key}.pub").read_text())
    config = tmp_path / "config"
    config.write_text(f"IdentitiesOnly yes\nIdentityFile {named}\n")
    assert ask(server, key_files=(), ssh_config=str(config)) == "info"


@pytest.fixture
def silent_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """An agent that takes connections and never answers; the connections that were made to it."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "silent"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "silent"))
        listener.listen()
        listener.setblocking(False)
        yield listener


def test_a_plain_key_file_needs_no_agent(server, silent_agent):
    assert ask(server) == "info"
    with pytest.raises(BlockingIOError):
        silent_agent.accept()


def test_an_agent_that_does_not_answer_is_named_and_not_waited_for(server, silent_agent, monkeypatch, tmp_path):
    monkeypatch.setattr(keys, "AGENT_S", 0.1)
    monkeypatch.setenv("HOME", str(tmp_path))  # where there is no key
    with pytest.raises(
        errors.AuthFailed, match=r"there is no key to offer \(the ssh-agent .*/silent does not answer\)"
    ):
        ask(server, key_files=())
