"""The installed command, run as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from migprov.sim.nodes import Fleet

PROGRAM = [sys.executable, "-m", "migprov.cli"]
LAYOUTS = """\
version: v1
mig-configs:
  voice:
    - devices: [1]
      mig-enabled: true
      mig-devices: {3g.40gb: 2}
    - devices: [2]
      mig-enabled: true
      mig-devices: {}
  seven:
    - devices: [0]
      mig-enabled: true
      mig-devices: {1g.10gb: 7}
  impossible:
    - devices: [1]
      mig-enabled: true
      mig-devices: {4g.40gb: 2}
"""


@dataclass(frozen=True)
class Answer:
    """What the command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as one JSON object a line; anything else in it is an error."""
        return [json.loads(line) for line in self.out.splitlines()]


Migprov = Callable[..., Answer]


@pytest.fixture
def migprov() -> Migprov:
    """Runs `migprov` with these arguments; further variables for its environment by keyword."""

    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> Answer:
        done = subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, **environment},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def layouts(tmp_path: Path) -> Path:
    """A layout file with `voice`, `seven` and `impossible`."""
    path = tmp_path / "layouts.yml"
    path.write_text(LAYOUTS)
    return path


def writes(fleet: Fleet) -> list[int]:
    """How many writes each node's driver has seen."""
    return [node.sim.write_count() for node in fleet]
