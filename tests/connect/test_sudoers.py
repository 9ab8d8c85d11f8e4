"""The rule of docs/security.md, given to the real sudo: it is enough for the command line that migprov sends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from migprov.connect.become import as_user
from migprov.connect.target import Target

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
USER = f"migprov-r{os.getpid()}"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("sudo", "su", "useradd"))), reason="takes root, sudo and su"
)


@pytest.fixture
def user() -> Iterator[str]:
    rule = re.search(r"^ops (ALL=.*)$", PAGE.read_text(), re.MULTILINE)
    assert rule
    rights = Path("/etc/sudoers.d") / USER
    subprocess.run(["useradd", "-M", "-d", "/nonexistent", "-s", "/bin/sh", "-p", "*", USER], check=True)
    try:
        rights.write_text(f"{USER} {rule[1]}\n")
        rights.chmod(0o440)
        yield USER
    finally:
        rights.unlink(missing_ok=True)
        subprocess.run(["userdel", USER], check=True)


def said(user: str, command: str) -> str:
    done = subprocess.run(["su", user, "-c", command], capture_output=True, text=True, check=False, cwd="/")
    return done.stdout.strip() if done.returncode == 0 else f"refused: {done.stderr}"


def test_the_rule_is_enough_and_no_wider_than_it_says(user: str) -> None:
    assert said(user, as_user("id -u", Target("gpu1", become=True))) == "0"
    # As ansible-core asks.
    assert said(user, "sudo -H -S -n -u root /bin/sh -c 'id -u'") == "0"
    assert said(user, "sudo -n id -u").startswith("refused")
