"""The examples of the README, one after another, as somebody would type them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECTION = re.compile(r"^## Three ways in.*?(?=^## )", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)


def test_the_three_ways(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    shutil.copy(ROOT / "demo" / "layouts.yml", tmp_path / "demo")
    section = SECTION.search((ROOT / "README.md").read_text())
    assert section is not None
    examples = EXAMPLE.findall(section[0])
    assert [kind for kind, _ in examples].count("python") == 1
    said = ""
    try:
        for kind, text in examples:
            said += run(kind, text, tmp_path)
    finally:
        # Nothing to do when the last example has done it.
        subprocess.run(["migprov", "sim", "down"], cwd=tmp_path, capture_output=True, check=False)
    # Check mode foretold steps; after the run by the command, neither Ansible nor the library has any left.
    assert "GPU 1: create GPU instance 3g.40gb at 4" in said
    assert len(re.findall(r"changed=0 +unreachable=0 +failed=0", said)) == 2
    assert "gpu1 False ()" in said
    assert "gpu2 False ()" in said
    assert not (tmp_path / "migprov-sim").exists()


def run(kind: str, text: str, folder: Path) -> str:
    command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-eu", "-c", text]
    done = subprocess.run(
        command, cwd=folder, env=os.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout
