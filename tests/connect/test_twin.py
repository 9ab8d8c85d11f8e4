"""The compiled twin beside the node program, with a small program of the same make, and with the real one."""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migprov.connect.command import install_command, run_command
from migprov.connect.program import pack, program, twin_files
from migprov.connect.twin import hashed

from .machine import Machine, interpreters

MAIN = b"""\
import json, pkgutil, sys
import part.inner
part.inner.fail(sys.stdin.read())
print(json.dumps([part.inner.__file__[-3:], pkgutil.get_data("part", "data.json").decode(), sys.argv[0]]))
"""
INNER = b"""\
def fail(why):
    if why:
        raise ValueError(why)
"""
SMALL = pack(
    [
        ("__main__.py", MAIN),
        *twin_files(),
        ("part/__init__.py", b""),
        ("part/data.json", b"[1]"),
        ("part/inner.py", INNER),
    ]
)
DIGEST = hashlib.sha256(SMALL).hexdigest()
COMPILED, SOURCES = "pyc", ".py"
HERE = sys.executable


class Node(Machine):
    """A machine with the small program."""

    def small(self, python: str = HERE, mode: str = "run", says: bytes = b"") -> str:
        """Run it; the end of the name of the file that its module came from."""
        command = run_command(DIGEST, python=python)
        if mode == "install":
            command = install_command(DIGEST, len(SMALL), python=python)
        done = self.sh(command, (SMALL if mode == "install" else b"") + says)
        assert (done.returncode, done.stderr) == (0, b"")
        kind, data, name = json.loads(done.stdout)
        assert (data, name) == ("[1]", f"{self.cache}/{DIGEST}.pyz")
        return str(kind)

    def twins(self) -> list[Path]:
        return sorted(self.cache.glob("*.twin"))

    def twin(self) -> Path:
        (only,) = self.twins()
        return only

    def plant(self, digest: str | None = None) -> Path:
        """A twin that tells on itself in place of the one there; its name is right unless `digest` is given."""
        old = self.twin()
        first, size, modules, files = marshal.loads(old.read_bytes()[4:])
        modules["__main__"] = (False, "", marshal.dumps(compile("print('\"planted\"')", "", "exec")))
        data = old.read_bytes()[:4] + marshal.dumps((first, size, modules, files))
        new = old.with_name(old.name[:-69] + (digest or hashed(data)) + ".twin")
        old.unlink()
        new.write_bytes(data)
        new.chmod(0o600)
        return new


@pytest.fixture
def node(tmp_path: Path) -> Node:
    (tmp_path / "home").mkdir()
    return Node(tmp_path / "home")


@pytest.fixture
def ready(node: Node) -> Node:
    """A node with the program and its twin."""
    node.small(mode="install")
    return node


def is_good(twin: Path) -> bool:
    data = twin.read_bytes()
    return twin.name[-69:-5] == hashed(data) and stat.S_IMODE(twin.lstat().st_mode) == 0o600


def test_the_first_call_makes_it_and_every_call_runs_it(node: Node):
    assert node.small(mode="install") == COMPILED
    made = node.twin()
    assert made.name.startswith(f"{DIGEST}-{sys.implementation.cache_tag}-")
    assert is_good(made)
    before = made.stat()
    assert node.small() == COMPILED
    after = node.twin().stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert len(list(node.cache.iterdir())) == 2


def test_a_program_that_is_there_without_its_twin_gets_it(ready: Node):
    ready.twin().unlink()
    assert ready.small() == COMPILED
    assert is_good(ready.twin())


def test_it_is_the_one_in_the_folder_that_runs(ready: Node):
    ready.plant()
    done = ready.sh(run_command(DIGEST, python=HERE))
    assert done.stdout == b'"planted"\n'


def test_it_holds_bytecode_and_data_and_nothing_of_its_maker(ready: Node):
    _, size, modules, files = marshal.loads(ready.twin().read_bytes()[4:])
    assert size == len(SMALL)
    assert {name: (package, file) for name, (package, file, _) in modules.items()} == {
        "__main__": (False, "__main__.pyc"),
        "part": (True, "part/__init__.pyc"),
        "part.inner": (False, "part/inner.pyc"),
    }
    assert marshal.loads(modules["part.inner"][2]).co_filename == f"{ready.cache}/{DIGEST}.pyz/part/inner.py"
    assert files == {"part/data.json": b"[1]"}


@pytest.mark.parametrize(
    "harm",
    [
        lambda node: node.plant("0" * 64),
        lambda node: node.plant().chmod(0o622),
        lambda node: node.twin().write_bytes(node.twin().read_bytes()[:-1]),
        lambda node: node.twin().write_bytes(b""),
        lambda node: (node.plant().rename(node.home / "x"), (node.cache / planted(node)).symlink_to(node.home / "x")),
        lambda node: os.mkfifo(node.plant("1" * 64).with_name(f"{tag_of(node)}{'2' * 64}.twin")),
        lambda node: os.chown(node.plant(), 12345, 12345),
        lambda node: node.plant(hashed(b"no twin")).write_bytes(b"no twin"),
        lambda node: node.plant(hashed(b"\0" * 9)).write_bytes(b"\0" * 9),
    ],
    ids=[
        "other content",
        "writable by others",
        "cut short",
        "empty",
        "symlink",
        "fifo",
        "other owner",
        "no twin",
        "of another Python",
    ],
)
def test_one_that_was_tampered_with_is_not_run_and_replaced(ready: Node, harm: Callable[[Node], Any]):
    if os.geteuid() != 0 and "chown" in harm.__code__.co_names:
        pytest.skip("gives a file to another user: takes root")
    harm(ready)
    for _ in range(2):
        assert ready.small() == COMPILED
        assert is_good(ready.twin())


def tag_of(node: Node) -> str:
    return f"{DIGEST}-{sys.implementation.cache_tag}-"


def planted(node: Node) -> str:
    return f"{tag_of(node)}{hashed((node.home / 'x').read_bytes())}.twin"


def test_a_folder_in_its_place_does_no_harm(ready: Node):
    ready.twin().unlink()
    (ready.cache / f"{tag_of(ready)}{'0' * 64}.twin").mkdir()
    assert ready.small() == COMPILED


def as_nobody(command: str) -> str:
    if os.geteuid() != 0:
        return command
    return "setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh -c " + shlex.quote(command)


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="as root this takes setpriv")
def test_a_folder_that_cannot_be_written_is_no_obstacle():
    # A folder of its own, as pytest's are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        node.cache.mkdir(parents=True)
        (node.cache / f"{DIGEST}.pyz").write_bytes(SMALL)
        for path in (node.home, node.home / ".cache", node.cache, node.cache / f"{DIGEST}.pyz"):
            os.chown(path, *((65534, 65534) if os.geteuid() == 0 else (-1, -1)))
            path.chmod(0o500)
        done = node.sh(as_nobody(run_command(DIGEST, python="/usr/bin/python3")))
        assert (done.returncode, done.stderr) == (0, b"")
        assert json.loads(done.stdout)[0] == SOURCES
        assert [path.name for path in node.cache.iterdir()] == [f"{DIGEST}.pyz"]
        for path in (node.home, node.home / ".cache", node.cache):
            path.chmod(0o700)


def test_no_space_for_it_is_no_obstacle(ready: Node):
    # A limit on file size fails a write half-way, like a full disk.
    ready.twin().unlink()
    done = ready.sh(f"trap '' XFSZ; ulimit -f 2; {run_command(DIGEST, python=HERE)}")
    assert (json.loads(done.stdout)[0], done.stderr) == (SOURCES, b"")
    assert [path.name for path in ready.cache.iterdir()] == [f"{DIGEST}.pyz"]


def test_each_interpreter_has_its_own(node: Node):
    node.small(interpreters()[0], "install")
    for python in interpreters():
        assert node.small(python) == COMPILED
    if len(interpreters()) < 2:
        pytest.skip("one interpreter here")
    tags = {path.name.split("-")[2] for path in node.twins()}
    assert len(tags) == len(node.twins()) == min(len(interpreters()), 4)


@pytest.mark.parametrize("python", interpreters())
def test_every_python_of_the_nodes_runs_the_real_one(node: Node, python: str):
    first, then = node.install(python=python), node.run(python=python)
    assert first == then
    assert is_good(node.twin())
    # No interpreter warns about it either, neither at a first call nor at a later one.
    words = shlex.split(run_command(program().digest, python=python).partition(" -c ")[2].partition("; s=$?")[0])
    for kept in (True, False):
        if not kept:
            node.twin().unlink()
        done = subprocess.run(
            [python, "-E", "-s", "-S", "-W", "error", "-c", *words],
            input=b'{"protocol": 1, "task": "info"}',
            capture_output=True,
            env={"HOME": str(node.home)},
            check=True,
        )
        assert (json.loads(done.stdout)["task"], done.stderr) == ("info", b"")


def test_a_traceback_names_file_and_line(ready: Node):
    done = ready.sh(run_command(DIGEST, python=HERE), b"told to")
    assert done.stderr.decode().endswith("ValueError: told to\n")
    assert f'File "{ready.cache}/{DIGEST}.pyz/part/inner.py", line 3, in fail' in done.stderr.decode()


def test_calls_at_the_same_time_all_work(ready: Node):
    ready.twin().unlink()
    words = ["/bin/sh", "-c", run_command(DIGEST, python=HERE)]
    environment = {"HOME": str(ready.home), "PATH": "/usr/bin:/bin"}
    calls = [
        subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        for _ in range(6)
    ]
    for call in calls:
        out, err = call.communicate(timeout=60)
        assert (call.returncode, err, json.loads(out)[1]) == (0, b"", "[1]")
    assert ready.twins()
    assert all(map(is_good, ready.twins()))
    assert not list(ready.cache.glob("new-*"))


def aged(path: Path, hours: float) -> str:
    """A file that old by the clock of the file system; its name."""
    path.write_text("old")
    now = path.stat().st_mtime
    os.utime(path, (now - hours * 3600, now - hours * 3600))
    return path.name


def name_of(program: str, tag: str, number: int) -> str:
    return f"{program}-{tag}-{number:064x}.twin"


def test_twins_go_with_their_programs(ready: Node):
    own = ready.twin().name
    programs = [f"{number:064x}" for number in range(1, 5)]
    for hours, each in enumerate(programs, 1):
        aged(ready.cache / f"{each}.pyz", hours)
        aged(ready.cache / name_of(each, "cpython-38", 1), hours)
    orphan = aged(ready.cache / name_of("f" * 64, "cpython-38", 1), 0)
    notes = aged(ready.cache / "notes.twin", 9)
    ready.small(mode="install")
    left = {path.name for path in ready.cache.iterdir()}
    kept = {f"{each}.pyz" for each in programs[:2]} | {name_of(each, "cpython-38", 1) for each in programs[:2]}
    assert orphan not in left
    assert left == {f"{DIGEST}.pyz", own, notes} | kept


def test_few_interpreters_and_one_twin_of_each(ready: Node):
    own = ready.twin().name
    others = [aged(ready.cache / name_of(DIGEST, f"cpython-4{minor}", 1), minor - 0.5) for minor in range(1, 7)]
    rival = aged(ready.cache / name_of(DIGEST, "cpython-41", 2), 0)  # made at the same time, elsewhere
    old_rival = aged(ready.cache / name_of(DIGEST, "cpython-42", 2), 9)
    lock = aged(ready.cache / "lock", 99)
    ready.small(mode="install")
    left = {path.name for path in ready.cache.iterdir()}
    assert old_rival not in left
    assert left == {f"{DIGEST}.pyz", own, rival, lock, *others[:3]}


def test_a_call_that_runs_outlives_the_removal_of_its_files(node: Node):
    # As when newer programs push it out while it waits for work to end.
    main = b"""\
import os, sys
for name in os.listdir(os.path.dirname(sys.argv[0])):
    os.unlink(os.path.join(os.path.dirname(sys.argv[0]), name))
import late
print(late.__file__[-3:])
"""
    data = pack([("__main__.py", main), ("late.py", b""), *twin_files()])
    done = node.sh(install_command(hashlib.sha256(data).hexdigest(), len(data), python=HERE), data)
    assert (done.stdout, done.stderr) == (b"pyc\n", b"")
    assert list(node.cache.iterdir()) == []
