"""The loop of docs/walkthrough.md, run as it stands there: audit, plan, roll, audit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def commands() -> list[str]:
    return re.findall(r"^\$ (.*)$", (ROOT / "docs" / "walkthrough.md").read_text(), re.MULTILINE)


def script(folder: Path) -> Path:
    """The page's commands, each with its number before its output; `sim down` whatever happens."""
    steps = [f"echo '== {number}'\n{command}" for number, command in enumerate(commands())]
    path = folder / "walkthrough.sh"
    path.write_text("set -euo pipefail\ntrap 'migprov sim down || true' EXIT\n" + "\n".join(steps) + "\n")
    return path


@pytest.mark.timeout(600)
def test_the_loop_closes() -> None:
    with tempfile.TemporaryDirectory(prefix="mwalk-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        run = subprocess.run(
            ["bash", script(folder)],
            cwd=folder,
            env=os.environ | {"COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=580,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        said = dict(zip(commands(), re.split(r"^== \d+\n", run.stdout, flags=re.MULTILINE)[1:], strict=True))
        check(said, folder)


def check(said: dict[str, str], folder: Path) -> None:
    audits = [text for command, text in said.items() if command.startswith("migprov audit")]
    assert "6 cards and instances: 0 idle, 4 hollow, 0 unknown, 2 full" in audits[0], audits[0]
    assert ", 0 hollow, 0 unknown, 6 full" in audits[1], audits[1]
    plan = next(text for command, text in said.items() if command.startswith("migprov plan") and "-o" in command)
    assert "Cards in use: 6 before, 3 after, of 6; proven to be the least." in plan
    planned = json.loads((folder / "plan.json").read_text())
    assert planned
    report = next(text for command, text in said.items() if command.startswith("migprov report --before"))
    assert "40" in report
    before = [json.loads(line) for line in (folder / "before.jsonl").read_text().splitlines()]
    after = [json.loads(line) for line in (folder / "after.jsonl").read_text().splitlines()]
    instances = [
        [len(gpu["instances"]) for gpu in each["after"]["gpus"]]
        for each in sorted(after, key=lambda each: str(each["host"]))
    ]
    assert instances == [[0, 4, 0], [0, 0, 0]]
    assert [len(gpu["processes"]) for each in after for gpu in each["after"]["gpus"]] == [1, 4, 0, 1, 0, 0]
    assert [len(gpu["processes"]) for each in before for gpu in each["after"]["gpus"]] == [1] * 6
    assert (folder / "report.html").stat().st_size > 1000
