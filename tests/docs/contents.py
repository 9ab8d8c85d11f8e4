"""What pages claim in words, looked up in what their commands said and left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

Said = Mapping[str, str]
"""What each command said, by its text on one line without its comment, and what all Python said, by `python`."""


def readme(said: Said, folder: Path) -> None:
    everything = "\n".join(said.values())
    # Check mode foretold steps; after the run by the command, neither Ansible nor the library has any left.
    assert "GPU 1: create GPU instance 3g.40gb at 4" in everything
    assert len(re.findall(r"changed=0 +unreachable=0 +failed=0", everything)) == 2
    assert "gpu1 False ()" in said["python"]
    assert "gpu2 False ()" in said["python"]
    assert not (folder / "migprov-sim").exists()


def walkthrough(said: Said, folder: Path) -> None:
    text = said["migprov audit -i migprov-sim/inventory.yml --for 6 --every 1 --min-samples 5"]
    assert ", 0 hollow, 0 unknown, 6 full" in text
    text = next(text for command, text in said.items() if command.startswith("migprov audit") and "-w" in command)
    assert "6 cards and instances: 0 idle, 4 hollow, 0 unknown, 2 full" in text
    plan = next(text for command, text in said.items() if command.startswith("migprov plan") and "-o" in command)
    assert "Cards in use: 6 before, 3 after, of 6; proven to be the least." in plan
    assert json.loads((folder / "plan.json").read_text())
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


OF_PAGE: dict[str, Callable[[Said, Path], None]] = {"README.md": readme, "docs/walkthrough.md": walkthrough}
