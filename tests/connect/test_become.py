"""Becoming another user through the real sudo, over SSH and here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from migprov import errors
from migprov.connect.become import refusal
from migprov.connect.call import call
from migprov.connect.local import LocalConnection
from migprov.connect.ssh import SshConnection
from migprov.connect.target import Target

INFO = {"protocol": 1, "task": "info", "params": {}, "check": False}
needs_sudo = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("sudo") or not shutil.which("setpriv"),
    reason="takes root, sudo and setpriv",
)


def ask(server: Any, **options: Any) -> str:
    target = server.target(become=True, **options)
    connection = SshConnection(target)
    try:
        return str(call(connection, target, INFO)["task"])
    finally:
        connection.close()


@pytest.fixture
def sudo(tmp_path: Path) -> str:
    """The real sudo, but for root's home, which is a folder of the test's."""
    (tmp_path / "root").mkdir()
    path = tmp_path / "sudo"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$1 $2 $3 $4 $5" = "-n -H -u root --" ] && shift 5 && '
        f'exec /usr/bin/sudo -n -H -u root -- /usr/bin/env HOME={tmp_path}/root "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


@needs_sudo
def test_root_keeps_the_program_in_its_own_folder(server, sudo: str, tmp_path: Path):
    assert ask(server, become_exe=sudo) == "info"
    assert (tmp_path / "root/.cache/migprov").is_dir()
    assert not server.cache.exists()


@needs_sudo
def test_local_too(sudo: str, tmp_path: Path):
    target = Target("localhost", connection="local", become=True, become_exe=sudo)
    assert call(LocalConnection(target), target, INFO)["task"] == "info"
    assert (tmp_path / "root/.cache/migprov").is_dir()


@needs_sudo
def test_a_user_without_home_is_told_so(server):
    with pytest.raises(errors.CannotStore, match=r"/nonexistent/.cache"):
        ask(server, become_user="nobody")


@needs_sudo
def test_sudo_asks_for_a_password(server):
    # The real sudo, called by a user without rights.
    server.script("sudo", '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/sudo "$@"\n')
    with pytest.raises(errors.SudoRefused, match="sudo asks for a password to become root") as caught:
        ask(server)
    assert caught.value.code == "sudo_refused"
    assert not caught.value.unreachable
    assert "NOPASSWD" in str(caught.value)
    assert "nothing was changed" in str(caught.value)


@needs_sudo
def test_an_unknown_user(server):
    with pytest.raises(errors.SudoRefused, match="unknown user"):
        ask(server, become_user="nosuchuser")


def test_no_sudo(server):
    with pytest.raises(errors.SudoRefused, match="/nonexistent/sudo is not installed"):
        ask(server, become_exe="/nonexistent/sudo")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ops is not in the sudoers file.\nThis incident has been reported.", "does not allow this user"),
        ("Sorry, user ops may not run sudo on gpu1.", "does not allow this user"),
        ("Sorry, user ops is not allowed to execute '/bin/sh' as root on gpu1.", "does not allow this user"),
        ("sudo-rs: I'm sorry ops. I'm afraid I can't do that", "does not allow this user"),
        ("sudo-rs: interactive authentication is required", "asks for a password"),
        ("sudo: sorry, you must have a tty to run sudo", "wants a terminal"),
        ("sudo: unable to resolve host gpu1: Name or service not known\nsudo: unknown user: x", "sudo refused"),
        ("sudo: PERM_SUDOERS: setresuid(-1, 1, -1): Operation not permitted", "sudo refused"),
    ],
)
def test_what_sudo_says(text: str, says: str):
    error = refusal(1, text.encode(), Target("gpu1", become=True))
    assert says in str(error)


def test_what_sudo_does_not_say():
    assert refusal(1, b"Traceback", Target("gpu1", become=True)) is None
    assert refusal(1, b"sudo: a password is required", Target("gpu1")) is None
    # A warning beside which the program ran, and failed by itself.
    warning = b"sudo: unable to resolve host gpu1: Name or service not known\n"
    for said in (warning, warning + b"Traceback", warning + b"slurm_update error: Invalid user id"):
        assert refusal(1, said, Target("gpu1", become=True)) is None


def test_words_are_quoted(tmp_path: Path):
    # The user names no shell could read never get that far; the program to become with is quoted.
    with pytest.raises(errors.BadRequest):
        Target("gpu1", become=True, become_user="root; touch x")
    with pytest.raises(errors.BadRequest, match=r"gpu1: become_exe .* is no command line: No closing quotation"):
        Target("gpu1", become=True, become_exe="sudo 'x")
    target = Target("localhost", connection="local", become=True, become_exe=f"{tmp_path}/$(touch {tmp_path}/x)")
    with pytest.raises(errors.NodeError):
        call(LocalConnection(target), target, INFO)
    assert list(tmp_path.iterdir()) == []
