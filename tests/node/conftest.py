"""The node program, as it is shipped, on simulated drivers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov.connect.program import program
from migprov.sim.driver import SimNode


class Machine:
    """A simulated node and the program on it."""

    def __init__(self, sim: SimNode, pyz: Path, home: Path) -> None:
        self.sim = sim
        self.pyz = pyz
        self.home = home
        self.hidden = False

    def env(self) -> dict[str, str]:
        """What a session on the node has; ``hidden``: as where /proc does not show the files of others (hidepid)."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.sim.env()}
        if self.hidden:
            del env["MIGPROV_DEV"]
        return env

    def raw(self, request: object, python: str = sys.executable, **options: Any) -> dict[str, Any]:
        """The program's reply to any text."""
        data = request if isinstance(request, bytes) else json.dumps(request).encode()
        done = subprocess.run(
            [python, "-S", "-E", str(self.pyz)], input=data, capture_output=True, env=self.env(), check=False, **options
        )
        assert done.stderr == b""
        assert done.returncode == 0
        reply: dict[str, Any] = json.loads(done.stdout)
        return reply

    def call(self, task: str, check: bool = False, python: str = sys.executable, **params: Any) -> dict[str, Any]:
        """The reply to a task."""
        return self.raw({"protocol": 1, "task": task, "params": params, "check": check, "wait_s": 0}, python)

    def ok(self, task: str, check: bool = False, **params: Any) -> dict[str, Any]:
        """The reply to a task that must succeed."""
        reply = self.call(task, check, **params)
        assert reply["error"] is None, reply["error"]
        return reply

    def refused(self, task: str, code: str, **params: Any) -> dict[str, Any]:
        """The error of a task that must be refused, with nothing written."""
        before = self.sim.write_count()
        reply = self.call(task, **params)
        assert reply["error"] is not None, reply
        assert reply["error"]["code"] == code, reply["error"]
        assert not reply["changed"]
        assert reply["steps"] == []
        assert self.sim.write_count() == before
        error: dict[str, Any] = reply["error"]
        return error

    def layout(self, *instances: object, gpus: object = "all", check: bool = False) -> dict[str, Any]:
        """Apply the instances to the GPUs."""
        return self.call("layout", check, entries=[entry(*instances, gpus=gpus)])


def entry(*instances: object, gpus: object = "all", enabled: bool = True) -> dict[str, Any]:
    """One entry of a layout."""
    return {"devices": gpus, "mig_enabled": enabled, "instances": list(instances), "source": "layouts.yml:3"}


def profiles(reply: dict[str, Any], index: int = 0, when: str = "after") -> list[tuple[str, int]]:
    """The GPU instances of a state, as (profile, start)."""
    return [(gi["profile"], gi["start"]) for gi in reply[when]["gpus"][index]["instances"]]


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as it is sent, and unpacked beside it: Python keeps what it compiled of a folder, not of a zip."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "node.pyz").write_bytes(program().data)
    (folder / "node.pyz").chmod(0o644)
    zipfile.ZipFile(folder / "node.pyz").extractall(folder / "node")
    return folder


@pytest.fixture
def machine(tmp_path: Path, shipped: Path) -> Iterator[Callable[..., Machine]]:
    """Make simulated nodes: ``machine("2xA100-80GB", driver_version="...")``."""
    made: list[SimNode] = []

    def make(gpus: str = "1xA100-80GB", packed: bool = False, **options: Any) -> Machine:
        pyz = shipped / ("node.pyz" if packed else "node")
        folder = tmp_path / f"node{len(made)}"
        sim = SimNode.create(folder, gpus=gpus, **options)
        made.append(sim)
        home = tmp_path / f"home{len(made)}"
        home.mkdir()
        return Machine(sim, pyz, home)

    yield make
    for sim in made:
        sim.power_off()
