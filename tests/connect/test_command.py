"""The two command lines, run by a real shell with real interpreters and a home of their own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migprov import errors
from migprov.connect.command import install_command, run_command, understand
from migprov.connect.program import program

from .machine import REQUEST, Machine

DIGEST = program().digest
SIZE = len(program().data)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    return Machine(home)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_not_there_then_installed_then_there(machine: Machine):
    with pytest.raises(errors.ProgramMissing):
        machine.run()
    assert machine.install()["task"] == "info"
    assert machine.run()["task"] == "info"
    assert (mode(machine.cache), mode(machine.cache / f"{DIGEST}.pyz")) == (0o700, 0o600)
    assert sorted(path.name[:65] for path in machine.cache.iterdir()) == [f"{DIGEST}-", f"{DIGEST}."]


def test_one_line_without_what_other_shells_trip_over():
    for command in (run_command(DIGEST), install_command(DIGEST, SIZE, request_file="/tmp/it's here")):
        assert "\n" not in command
        assert len(command) < 8000


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/bin/dash"])
def test_every_posix_shell(machine: Machine, shell: str):
    if not Path(shell).exists():
        pytest.skip(f"no {shell} here")
    done = machine.sh(install_command(DIGEST, SIZE), program().data + REQUEST, shell)
    assert json.loads(done.stdout)["task"] == "info"


def test_request_and_program_from_files(machine: Machine, tmp_path: Path):
    # For connections that cannot pipe standard input.
    request, shipped = tmp_path / "the request", tmp_path / "the program"
    request.write_bytes(REQUEST)
    shipped.write_bytes(program().data)
    done = machine.sh(install_command(DIGEST, SIZE, request_file=str(request), program_file=str(shipped)))
    assert json.loads(done.stdout)["task"] == "info"
    done = machine.sh(run_command(DIGEST, request_file=str(request)))
    assert json.loads(done.stdout)["task"] == "info"


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b"print('evil')"),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.chmod(0o666),
        lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")),
        lambda path: (path.unlink(), os.mkfifo(path)),
    ],
    ids=["replaced", "cut short", "writable by others", "symlink", "fifo"],
)
def test_a_program_that_was_tampered_with_never_runs(machine: Machine, harm: Callable[[Path], Any]):
    machine.install()
    harm(machine.cache / f"{DIGEST}.pyz")
    with pytest.raises(errors.ProgramMissing):
        machine.run()
    machine.install()
    assert machine.run()["task"] == "info"


@pytest.mark.parametrize("bits", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused(machine: Machine, bits: int):
    machine.install()
    machine.cache.chmod(bits)
    for way in (machine.run, machine.install):
        with pytest.raises(errors.UnsafeFolder, match=f"{machine.cache} can be written by others"):
            way()


def test_a_folder_behind_a_link_is_refused(machine: Machine, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (machine.home / ".cache").mkdir()
    machine.cache.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.UnsafeFolder, match="is not a folder"):
        machine.install()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user: takes root")
def test_a_folder_of_another_user_is_refused(machine: Machine):
    machine.install()
    os.chown(machine.cache, 12345, 12345)
    with pytest.raises(errors.UnsafeFolder, match="belongs to user 12345"):
        machine.run()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="takes root and setpriv")
def test_the_home_of_another_user_is_not_used():
    # As under a sudo without -H: a program must not lie in a folder of somebody else, though it could.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        machine = Machine(Path(folder))
        nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh -c "
        command = nobody + shlex.quote(install_command(DIGEST, SIZE, python="/usr/bin/python3"))
        done = machine.sh(command, program().data + REQUEST)
        with pytest.raises(errors.CannotStore, match=r"/nonexistent/.cache"):
            understand(done.returncode, done.stdout, done.stderr, host="gpu1")
        assert not list(Path(folder).iterdir())


def test_nothing_is_imported_from_the_current_folder(machine: Machine, tmp_path: Path):
    # Under sudo that is a folder of the user who logged in.
    for name in ("os", "hashlib", "json", "zipimport", "stat", "pwd"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    done = machine.sh(install_command(DIGEST, SIZE), program().data + REQUEST, cwd=tmp_path)
    assert json.loads(done.stdout)["task"] == "info"


def test_a_home_that_is_a_file(machine: Machine):
    machine.home.rmdir()
    machine.home.write_text("")
    with pytest.raises(errors.CannotStore, match="home"):
        machine.install()


def test_a_home_that_cannot_be_written_names_the_path(machine: Machine, tmp_path: Path):
    (machine.home / ".cache").write_text("in the way")
    with pytest.raises(errors.CannotStore, match=str(machine.cache)):
        machine.install()


def test_no_space_leaves_no_part_behind(machine: Machine):
    # A limit on file size fails a write half-way, like a full disk.
    limited = f"ulimit -f 8; {install_command(DIGEST, SIZE)}"
    done = machine.sh(f"trap '' XFSZ; {limited}", program().data + REQUEST)
    with pytest.raises(errors.CannotStore, match="File too large"):
        understand(done.returncode, done.stdout, done.stderr, host="gpu1")
    assert list(machine.cache.iterdir()) == []


def test_a_transfer_that_breaks_off_is_told(machine: Machine):
    done = machine.sh(install_command(DIGEST, SIZE), program().data[:1000])
    with pytest.raises(errors.BadReply, match=f"1000 of {SIZE} bytes"):
        understand(done.returncode, done.stdout, done.stderr, host="gpu1")
    assert not machine.cache.exists()


def test_old_programs_do_not_pile_up(machine: Machine):
    machine.install()
    for age in range(1, 6):
        old = machine.cache / f"{age:064d}.pyz"
        old.write_text("old")
        os.utime(old, (1e9 - age, 1e9 - age))
    (machine.cache / "notes.txt").write_text("not ours")
    (machine.cache / "new-1").write_text("an upload that broke off")
    os.utime(machine.cache / "new-1", (1e9, 1e9))
    machine.install()
    left = {path.name for path in machine.cache.iterdir() if not path.name.endswith(".twin")}
    assert left == {f"{DIGEST}.pyz", f"{1:064d}.pyz", f"{2:064d}.pyz", "notes.txt"}


def test_no_python(machine: Machine):
    with pytest.raises(errors.NoPython, match=r"no Python was found on the node .tried /no/such/python"):
        machine.run(python="/no/such/python")


def old_pythons() -> list[str]:
    versions = Path.home() / ".pyenv" / "versions"
    found = [path for wanted in ("2.7*", "3.[67].*") for path in versions.glob(f"{wanted}/bin/python")]
    return sorted(str(path) for path in found)


# Now, because the tests have a home of their own.
OLD = old_pythons()
NO_OLD = "no Python older than 3.8 on this machine (looked in ~/.pyenv/versions)"


@pytest.mark.skipif(not OLD, reason=NO_OLD)
@pytest.mark.parametrize("python", OLD)
def test_python_too_old(machine: Machine, python: str):
    with pytest.raises(errors.PythonTooOld, match=r"the node's Python is (2\.7|3\.[67])"):
        machine.run(python=python)


@pytest.mark.skipif(not OLD, reason=NO_OLD)
def test_a_python_too_old_gives_way_to_a_newer_one(machine: Machine, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(OLD[-1])
    (tmp_path / "bin" / "python3.12").symlink_to(sys.executable)
    machine.path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    assert machine.install()["task"] == "info"
    assert machine.run()["task"] == "info"


def test_a_name_that_leads_nowhere_gives_way(machine: Machine, tmp_path: Path):
    # As pyenv's shims when no version is chosen.
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "python3"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    (tmp_path / "bin" / "python3.11").symlink_to(shutil.which("python3.11") or sys.executable)
    machine.path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    assert machine.install()["task"] == "info"
