"""Real GPUs: who may be tested here, what is compared, and that nothing was changed by it.

These tests are for cards whose MIG mode is off. They change no setting: layouts are planned in check mode alone. What
they put on a GPU, and what a drain ends, are processes of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import conftest as cli

from . import smi

ASKED = "MIGPROV_HARDWARE"


class Comparisons:
    """Prints each comparison and remembers those that differ, so that one does not hide the next."""

    made = 0
    """By all tests."""

    def __init__(self) -> None:
        self.differing: list[str] = []

    def same(self, what: str, ours: Any, theirs: Any) -> bool:
        """Whether they are equal."""
        return self._say(ours == theirs, f"{what}: {ours!r}" + ("" if ours == theirs else f", expected {theirs!r}"))

    def within(self, what: str, ours: float | None, low: float, high: float) -> bool:
        """Whether ours lies between the two."""
        return self._say(ours is not None and low <= ours <= high, f"{what}: {ours}, from {low} to {high}")

    def _say(self, good: bool, text: str) -> bool:
        Comparisons.made += 1
        print(f"{'ok     ' if good else 'differs'} {text}", flush=True)
        if not good:
            self.differing.append(text)
        return good


class Answer(cli.Answer):
    """With one JSON object for the one node."""

    @property
    def node(self) -> dict[str, Any]:
        """The one object of `--json`."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def refused(self) -> str | None:
        """The code of the node's error, or None."""
        return (self.node["error"] or {}).get("code")


def migprov(*arguments: str | os.PathLike[str], limit_s: float = 300) -> Answer:
    """The command itself, on this machine, from no folder in particular."""
    program = shutil.which("migprov")
    assert program, "there is no command migprov on PATH: install the package, or put its bin folder there"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, cwd="/", timeout=limit_s, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Skip all of it where there is nothing to test, or nobody asked."""
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no NVIDIA driver here: there is no nvidia-smi")
    if not os.environ.get(ASKED):
        pytest.skip(f"puts processes of its own on this machine's GPUs: make hardware, or set {ASKED}=1")
    try:
        gpus = smi.state().findall("gpu")
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no GPU here: {error}")
    modes = {gpu.findtext("mig_mode/current_mig") for gpu in gpus}
    if modes != {"Disabled"}:
        pytest.skip(f"for GPUs whose MIG mode is off, which is never switched here; found {sorted(map(str, modes))}")


@pytest.fixture
def to() -> Comparisons:
    """What this test compares."""
    return Comparisons()


@pytest.fixture(autouse=True)
def nothing_changed(machine: None, to: Comparisons) -> Iterator[None]:
    """Every setting that nvidia-smi tells is the same after a test as before it."""
    before = smi.settings()
    yield
    after = smi.settings()
    different = {path: (before.get(path), after.get(path)) for path in {*before, *after}}
    to.same(f"{len(before)} settings after the test", {p: v for p, v in different.items() if v[0] != v[1]}, {})
    assert before == after


@pytest.fixture
def gpus() -> list[ElementTree.Element]:
    """What nvidia-smi says of each GPU."""
    return smi.state().findall("gpu")


@pytest.fixture(scope="session")
def profiles(machine: None) -> dict[int, smi.Profile]:
    """The first GPU's profiles, by id."""
    return smi.profiles()[0]


@pytest.fixture(scope="session")
def names(profiles: dict[int, smi.Profile]) -> dict[int, str]:
    """The plain profile of each number of compute slices: 3 -> 3g.71gb."""
    plain = [one for one in profiles.values() if "+" not in one.name and "-" not in one.name]
    by_memory = sorted(plain, key=lambda one: -one.gib)
    found = {int(one.name.split("g.")[0]): one.name for one in by_memory}
    if not {1, 2, 3, 4, 7} <= set(found):
        pytest.skip(f"the layouts here are for GPUs of seven slices; this one has {sorted(found.values())}")
    return found


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a layout file of one layout, named `it`."""

    def file(*entries: dict[str, Any]) -> Path:
        path = tmp_path / "layouts.yml"
        path.write_text(json.dumps({"version": "v1", "mig-configs": {"it": list(entries)}}))
        return path

    return file


def cut(instances: Any, devices: Any = "all") -> dict[str, Any]:
    """An entry of a layout file that cuts GPUs."""
    return {"devices": devices, "mig-enabled": True, "mig-devices": instances}


WHOLE = {"devices": "all", "mig-enabled": False}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test with comparisons that differ has failed, at its end."""
    result = yield
    to = getattr(item, "funcargs", {}).get("to")
    if to is not None and to.differing:
        pytest.fail("\n".join(to.differing), pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How much was compared."""
    if Comparisons.made:
        terminalreporter.write_line(f"{Comparisons.made} comparisons with nvidia-smi and the system")
