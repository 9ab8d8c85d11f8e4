"""What a command does and how it ends do not depend on whether somebody can read what it says."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from migprov.sim.nodes import Fleet

from .conftest import PROGRAM, writes

IDLE = "{devices: all, mig-enabled: false}"


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A shell's line in which `migprov` is the command."""
    program = shlex.join(PROGRAM)
    return subprocess.run(
        ["sh", "-c", f'migprov() {{ {program} "$@"; }}; {line}'],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


ENDS = {
    "<&- >&- 2>&-": (0, ""),
    "--json >/dev/full": (2, "Error: Standard output could not be written: No space left on device. The work"),
    ">/dev/full 2>&1": (2, ""),
}


def test_every_node_gets_its_layout_whoever_reads(make_fleet: Callable[..., Fleet], layouts: Path) -> None:
    fleet = make_fleet(nodes=2 * len(ENDS), gpus="1xA100-80GB")
    for number, (streams, (code, said)) in enumerate(ENDS.items()):
        hosts = f"gpu{2 * number + 1},gpu{2 * number + 2}"
        done = shell(
            f"migprov apply {layouts} seven -i {fleet.inventory} --limit {hosts} --forks 1 {streams}", layouts.parent
        )
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), streams
    assert min(writes(fleet)) > 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("migprov --help >&-", 0),
        ("migprov --version >/dev/full", 2),
        ("migprov info -i /no/such 2>/dev/full", 1),
        ("migprov info -i /no/such 2>&-", 1),
        ("migprov sim products | head -n 1; true", 0),
    ],
)
def test_other_ends(tmp_path: Path, line: str, code: int) -> None:
    done = shell(line, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_a_pipe_that_does_not_wait_loses_nothing(tmp_path: Path, layouts: Path) -> None:
    """Whoever reads several programs at once makes their pipes non-blocking, and that is so for the writer too."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    names = [f"layout-{number}-{'x' * 40}" for number in range(1500)]  # more than a pipe takes
    layouts.write_text("version: v1\nmig-configs:\n" + "".join(f"  {name}: [{IDLE}]\n" for name in names))
    with subprocess.Popen([*PROGRAM, "render", "configmap", layouts], cwd=tmp_path, stdout=writer) as command:
        os.close(writer)
        select.select([reader], [], [])
        with os.fdopen(reader, "rb") as stream:
            told = stream.read().decode()
    assert command.returncode == 0
    assert [name for name in names if name not in told] == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    done = shell("mkdir gone && cd gone && rmdir ../gone && migprov info -i gpu1,", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the current folder cannot be used: No such file or directory.\nNext: ")


def test_this_machines_own_trouble_is_one_sentence(tmp_path: Path) -> None:
    done = shell("HOME=/dev/null migprov status", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: [Errno 20] Not a directory: '/dev/null/.local/state/migprov/rolls'\n"
