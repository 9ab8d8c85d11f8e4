"""A node over a real sshd: the round trips, and everything that goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import migprov
from migprov import errors
from migprov.connect.call import call
from migprov.connect.node import open_node
from migprov.connect.program import program
from migprov.connect.ssh import SshConnection

INFO = {"protocol": 1, "task": "info", "params": {}, "check": False}


def ask(server: Any, **options: Any) -> dict[str, Any]:
    """One info, by a connection of its own."""
    target = server.target(**options)
    connection = SshConnection(target)
    try:
        return call(connection, target, INFO)
    finally:
        connection.close()


def test_the_first_call_is_two_round_trips_and_the_next_ones_one(server):
    target = server.target()
    connection = SshConnection(target)
    assert call(connection, target, INFO)["task"] == "info"
    assert server.commands() == 2
    for _ in range(3):
        call(connection, target, INFO)
    assert server.commands() == 5
    connection.close()
    connection.close()
    assert [path.name for path in server.cache.glob("*.pyz")] == [f"{program().digest}.pyz"]
    ask(server)
    assert server.commands() == 6


def test_the_connection_function_and_its_package_are_one(server):
    target = server.target()
    options = {name: getattr(target, name) for name in ("port", "user", "key_files", "known_hosts", "ssh_config")}
    with migprov.connect("127.0.0.1", **options) as node:
        assert node.name == "127.0.0.1"
        with suppress(errors.NodeFailed):  # a machine without driver says so
            assert node.info().task == "info"
    assert server.commands() == 2


def test_a_tampered_program_is_sent_anew(server):
    ask(server)
    (server.cache / f"{program().digest}.pyz").write_text("print('evil')")
    assert ask(server)["task"] == "info"
    assert server.commands() == 4


def test_a_folder_open_to_all_is_refused(server):
    ask(server)
    server.cache.chmod(0o777)
    with pytest.raises(errors.UnsafeFolder, match="can be written by others"):
        ask(server)


def test_a_connection_that_broke_between_two_calls_is_made_anew(server):
    target = server.target()
    connection = SshConnection(target)
    call(connection, target, INFO)
    server.drop_sessions()
    assert call(connection, target, INFO)["task"] == "info"
    connection.close()


# --- who is there ---------------------------------------------------------------------------------------


def test_an_unknown_host_key(server):
    server.known_hosts.write_text("")
    with pytest.raises(errors.HostKeyUnknown) as caught:
        ask(server)
    assert caught.value.code == "host_key"
    assert caught.value.unreachable
    assert "ssh-keyscan -p" in str(caught.value)
    assert "SHA256:" in str(caught.value)
    assert server.commands() == 0


def test_a_changed_host_key(server, keygen, tmp_path):
    keygen(tmp_path / "other")
    server.know(tmp_path / "other")
    with pytest.raises(errors.HostKeyChanged, match="ssh-keygen -R") as caught:
        ask(server)
    assert caught.value.code == "host_key"
    assert f"{server.known_hosts}:1" in str(caught.value)
    assert server.commands() == 0


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_server_with_several_host_keys_shows_the_one_that_is_known(sshd, known: int):
    server = sshd(kinds=("rsa", "ecdsa", "ed25519"))
    server.know(server.host_keys[known])
    assert ask(server)["task"] == "info"


def test_a_known_key_of_a_kind_that_the_server_lost_is_a_change(sshd, keygen, tmp_path):
    server = sshd(kinds=("ed25519",))
    keygen(tmp_path / "other", "ecdsa")
    server.know(tmp_path / "other")
    with pytest.raises(errors.HostKeyChanged, match="ecdsa-sha2-nistp256"):
        ask(server)


@pytest.mark.parametrize("kex", ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"])
def test_a_server_that_allows_one_key_exchange(sshd, kex: str):
    assert ask(sshd(more=[f"KexAlgorithms {kex}"]))["task"] == "info"


# --- who are we -----------------------------------------------------------------------------------------


def test_a_wrong_user(server):
    with pytest.raises(errors.AuthFailed, match=r"login as nosuchuser@127.0.0.1") as caught:
        ask(server, user="nosuchuser")
    assert (caught.value.code, caught.value.unreachable) == ("auth", True)


def test_a_wrong_key(server, keygen, tmp_path):
    keygen(tmp_path / "mine")
    with pytest.raises(errors.AuthFailed, match=f"none of these keys is accepted: {tmp_path / 'mine'}"):
        ask(server, key_files=(str(tmp_path / "mine"),))


def test_no_key(server, tmp_path):
    with pytest.raises(errors.AuthFailed, match=r"no key to offer .*absent does not exist"):
        ask(server, key_files=(str(tmp_path / "absent"),))


def test_many_wrong_keys_are_no_traceback(server, keygen, tmp_path):
    # sshd drops the connection after six.
    files = [str(tmp_path / f"key{number}") for number in range(8)]
    for file in files:
        keygen(Path(file))
    with pytest.raises(errors.AuthFailed, match="none of these keys is accepted"):
        ask(server, key_files=(*files,))


def test_a_file_that_is_no_key_is_named(server, tmp_path):
    (tmp_path / "junk").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\njunk\n")
    with pytest.raises(errors.AuthFailed, match="junk cannot be used"):
        ask(server, key_files=(str(tmp_path / "junk"),))


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_an_encrypted_key(server, keygen, tmp_path, kind: str):
    path = tmp_path / "locked"
    keygen(path, kind, "open sesame")
    (server.directory / "authorized_keys").write_text(Path(f"{path}.pub").read_text())
    with pytest.raises(errors.AuthFailed, match=f"{path} is encrypted"):
        ask(server, key_files=(str(path),))
    with pytest.raises(errors.AuthFailed, match=f"{path} cannot be decrypted"):
        ask(server, key_files=(str(path),), passphrase=lambda _: "open barley")
    asked: list[str] = []
    assert ask(server, key_files=(str(path),), passphrase=lambda p: asked.append(p) or "open sesame")
    assert asked == [str(path)]


@pytest.mark.skipif(os.geteuid() != 0, reason="AuthorizedKeysCommand with a user takes root")
def test_a_login_that_hangs(sshd, keygen, tmp_path):
    server = sshd(more=["AuthorizedKeysCommand /usr/bin/sleep 600", "AuthorizedKeysCommandUser root"])
    keygen(tmp_path / "mine")
    with pytest.raises(errors.Unreachable, match="did not answer the login within 3 s"):
        ask(server, connect_timeout=3, key_files=(str(tmp_path / "mine"),))


# --- the way there --------------------------------------------------------------------------------------


def test_a_closed_port(server):
    server.stop()
    with pytest.raises(errors.Unreachable, match="refuses the connection") as caught:
        ask(server)
    assert (caught.value.code, caught.value.unreachable) == ("unreachable", True)
    assert "nothing was changed" in str(caught.value)


def test_a_name_that_does_not_resolve(server):
    with pytest.raises(errors.Unreachable, match=r"the name gpu1.invalid cannot be resolved"):
        ask(server, host="gpu1.invalid")


@pytest.fixture
def listener() -> Iterator[Callable[[bytes], int]]:
    """Listens on a port, says something to who comes, and keeps quiet."""
    import socket

    sockets: list[socket.socket] = []

    def listen(greeting: bytes) -> int:
        door = socket.create_server(("127.0.0.1", 0))
        sockets.append(door)

        def serve() -> None:
            with suppress(OSError):
                client, _ = door.accept()
                sockets.append(client)
                client.sendall(greeting)

        threading.Thread(target=serve, daemon=True).start()
        return int(door.getsockname()[1])

    yield listen
    for each in sockets:
        each.close()


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200, b"\xff" * 3000])
def test_a_port_that_does_not_speak_ssh(server, listener, greeting: bytes) -> None:
    with pytest.raises(errors.Unreachable, match="no SSH session came about"):
        ask(server, port=listener(greeting), connect_timeout=0.5)


def test_nothing_is_logged_on_the_callers_terminal(server, listener):
    # In a process of its own: pytest's own handlers would hide it.
    code = (
        "import migprov\n"
        "try:\n"
        f"    migprov.connect('127.0.0.1', port={listener(b'junk' * 900)}, ssh_config='none', connect_timeout=0.5)\n"
        "except migprov.Unreachable:\n"
        "    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_command_that_ends_before_it_has_read_everything(server):
    # More than fits in flight, so sending fails; the exit status still tells.
    connection = SshConnection(server.target())
    assert connection.execute("exit 3", b"x" * 8_000_000, timeout=60).rc == 3
    connection.close()


def test_a_server_that_runs_no_commands(sshd):
    server = sshd(more=["ForceCommand /bin/echo this account is not available"])
    with pytest.raises(errors.BadReply, match="this account is not available"):
        ask(server)


def test_a_server_without_sessions(sshd):
    server = sshd(more=["MaxSessions 0"])
    with pytest.raises(errors.Unreachable, match="the node runs no command"):
        ask(server)


# --- what the node answers ------------------------------------------------------------------------------


def test_no_python(server):
    with pytest.raises(errors.NoPython, match="tried /nonexistent/python"):
        ask(server, python="/nonexistent/python")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cat >/dev/null; echo 'Segmentation fault'", "Segmentation fault"),
        ("exec 0<&-; exit 3", "exit status 3; no output"),
        ("exit 3", "exit status 3; no output"),
        ("cat >/dev/null; kill -9 $$", "exit status -1|exit status 137"),
        ("head -c 20000000 /dev/zero", "longer than 16 MiB"),
        ("head -c 3000000 /dev/zero >&2; exit 1", "exit status 1"),
    ],
    ids=["garbage", "closes its input", "never reads", "killed", "huge answer", "huge standard error"],
)
def test_answers_that_are_none(server, text: str, says: str):
    python = server.script("python", f"#!/bin/sh\n{text}\n")
    with pytest.raises(errors.BadReply, match=says):
        ask(server, python=python)


def test_login_noise_is_passed_over(sshd):
    server = sshd(environment={"NOISE": "1"})
    python = server.script("python", '#!/bin/sh\necho "Welcome {to} gpu1"\nexec /usr/bin/env python3 "$@"\n')
    assert ask(server, python=python)["task"] == "info"


@pytest.fixture
def stuck(server) -> Iterator[Any]:
    """A server whose Python writes its pid and then never ends."""
    pid_file = server.directory / "stuck.pid"
    server.stuck = server.script("stuck", f"#!/bin/sh\ncat >/dev/null\necho $$ >{pid_file}\nexec sleep 600\n")
    server.stuck_pid = pid_file
    yield server
    with suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_a_node_that_does_not_answer_in_time(stuck):
    with pytest.raises(errors.CallTimeout, match=r"no answer within 3 s; the program was not ended") as caught:
        ask(stuck, python=stuck.stuck, timeout=3)
    assert caught.value.outcome_unknown
    assert not caught.value.unreachable


def test_a_connection_that_breaks_while_the_program_works(stuck):
    caught: list[BaseException] = []

    def work() -> None:
        try:
            ask(stuck, python=stuck.stuck, timeout=100)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not (stuck.stuck_pid.exists() and stuck.stuck_pid.read_text()):
        time.sleep(0.01)
    stuck.drop_sessions()
    thread.join(60)
    assert isinstance(caught[0], errors.ConnectionLost)
    assert "what it changed is not known" in str(caught[0])
    assert "Running the same again is safe" in str(caught[0])


# Ends the sshd that it runs under.
GOES = """#!/bin/sh
cat >/dev/null
pid=$$
until grep -q sshd /proc/$pid/comm; do pid=$(cut -d' ' -f4 /proc/$pid/stat); done
kill -KILL $pid
"""


@pytest.mark.parametrize("node", ["goes", "says no"])
def test_only_of_a_change_the_outcome_is_not_known(sshd, node: str):
    server = sshd(more=["ForceCommand /bin/echo no"] if node == "says no" else [])
    target = server.target(python=None if node == "says no" else server.script("goes", GOES))
    with open_node(target) as opened:
        with pytest.raises(errors.ConnectionLost if node == "goes" else errors.BadReply) as read:
            opened.info()
        with pytest.raises(errors.NodeError) as checked:
            opened.reset(check=True)
        with pytest.raises(errors.NodeError) as changed:
            opened.reset()
    for harmless in (read.value, checked.value):
        assert (harmless.outcome_unknown, "nothing was changed" in str(harmless)) == (False, True)
        assert "not known" not in str(harmless)
    assert (changed.value.outcome_unknown, "not known" in str(changed.value)) == (True, True)


def test_nothing_is_left_open(server):
    target = server.target()
    open_node(target).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        ask(server)
        with suppress(errors.AuthFailed):
            ask(server, user="nosuchuser")
    assert len(os.listdir("/proc/self/fd")) == before
