"""The collection's modules on this machine: the same answers as the command's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import cuda
from .conftest import Comparisons, cut, migprov

Module = Callable[..., dict[str, Any]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module(machine: None, tmp_path: Path) -> Iterator[Module]:
    """Runs one module of the checkout's collection on this machine."""
    program = shutil.which("ansible")
    if program is None:
        pytest.skip("there is no ansible on PATH")
    (tmp_path / "ansible_collections/migprov").mkdir(parents=True)
    (tmp_path / "ansible_collections/migprov/gpu").symlink_to(ROOT)
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    tree = tmp_path / "tree"

    def run(name: str, *options: str, **arguments: Any) -> dict[str, Any]:
        command = [program, "localhost", "-c", "local", "-t", str(tree), "-m", f"migprov.gpu.{name}"]
        command += [*(["-a", json.dumps(arguments)] if arguments else []), *options]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
        assert (tree / "localhost").exists(), done.stdout + done.stderr
        found: dict[str, Any] = json.loads((tree / "localhost").read_text())
        (tree / "localhost").unlink()
        return {**found, "failed": done.returncode != 0}

    yield run


def test_modules(to: Comparisons, module: Module, names: dict[int, str], gpus: list[ElementTree.Element]) -> None:
    state = migprov("info", "--local", "--json").node["after"]
    info = module("mig_info")
    assert "gpus" in info, info
    to.same("mig_info: GPUs", [gpu["uuid"] for gpu in info["gpus"]], [gpu["uuid"] for gpu in state["gpus"]])
    to.same("mig_info: changed, failed", (info["changed"], info["failed"]), (False, False))
    to.same("gpu_driver: failed", module("gpu_driver")["failed"], False)
    driver = module("gpu_driver", minimum="999.1")
    to.same("gpu_driver, 999.1: failed", driver["failed"], True)
    wanted = [cut({names[3]: 2})]
    planned = module("mig_layout", "--check", config=wanted)
    to.same("mig_layout, check mode: changed", planned.get("changed"), True)
    made = [(step["gpu"], step["start"]) for step in planned["steps"] if step["action"] == "create_gpu_instance"]
    to.same("mig_layout, check mode: places", sorted(made), [(gpu, at) for gpu in range(len(gpus)) for at in (0, 4)])
    to.same("mig_verify: failed", module("mig_verify", config=wanted)["failed"], True)
    with cuda.using(gpus[-1].findtext("uuid") or "", 512) as work:
        holders = module("gpu_holders_info", gpus=[gpus[-1].findtext("uuid")])["holders"]
        to.same("gpu_holders_info", work.pid in [one["pid"] for one in holders], True)
