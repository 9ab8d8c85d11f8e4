"""The installed `migprov audit`, run as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.cli import conftest as cli


class Answer(cli.Answer):
    """What `migprov audit` printed, and its exit code."""

    @property
    def verdicts(self) -> dict[str, str]:
        """Host and GPU, and the instance's start or id, to the verdict."""
        return {_name(line): line["verdict"] for line in self.lines if "verdict" in line}


def _name(line: dict[str, Any]) -> str:
    name = f"{line['host']}/{line['gpu']}"
    if line["profile"] is None:
        return name
    return f"{name} {line['profile']}@{line['gi_id'] if line['start'] is None else line['start']}"


def audit(*arguments: object, **env: str) -> Answer:
    """`migprov audit` with these arguments, and further variables."""
    done = subprocess.run(
        [sys.executable, "-m", "migprov.cli", "audit", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **env},
        timeout=170,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)
