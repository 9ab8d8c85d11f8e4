"""A program that is none of ours: it finds the library by the loader's path and agrees with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from migprov.sim.driver import SimNode

SCRIPT = Path(__file__).with_name("plain_nvml_script.py")


def run(node: SimNode) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env={**os.environ, **node.env()}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_script(make_node: Callable[..., SimNode]) -> None:
    node = make_node("3xA100-80GB")
    lines = run(node).splitlines()
    assert lines[0] == "a third: Insufficient Resources"
    assert [line.split()[1:] for line in lines[1:3]] == [["42", "40192"]] * 2
    assert all(line.startswith("MIG-") for line in lines[1:3])
    assert lines[3:] == ["left: 0"]
    names = [write["call"] for write in node.writes() if write["result"] == 0]
    assert names.count("nvmlDeviceCreateGpuInstance") == names.count("nvmlGpuInstanceDestroy") == 2
    assert [gpu["mig_current"] for gpu in node.show()["gpus"]] == [False, True, False]
    assert run(node).splitlines() == lines  # the same again, UUIDs included


def test_a_linked_library_finds_the_node_it_was_loaded_for(make_node: Callable[..., SimNode]) -> None:
    node = make_node("2xA100-80GB")
    library = node.directory / "lib" / "libnvidia-ml.so.1"
    elsewhere = node.directory.parent / "cache.so"
    library.rename(elsewhere)
    library.symlink_to(elsewhere)
    assert "left: 0" in run(node)
    assert node.write_count() > 0
