"""Twenty applies at once of two layouts on one node: all ends are honest, and the node is wholly one of the two."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

LAYOUTS = """\
version: v1
mig-configs:
  pair:
    - {devices: all, mig-enabled: true, mig-devices: {3g.40gb: 2}}
  seven:
    - {devices: all, mig-enabled: true, mig-devices: {1g.10gb: 7}}
"""
PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - migprov.gpu.mig_layout:
        file: %s
        name: %s
"""
WANTED = {"pair": ["3g.40gb"] * 2, "seven": ["1g.10gb"] * 7}
BY_ANSIBLE = 4
HOLDER = re.compile(r"another run of migprov is changing this node \(.*process \d+")


@pytest.mark.timeout(400)  # twenty programs start at once
@pytest.mark.long
def test_twenty_at_once(make_fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    fleet = make_fleet(nodes=1, gpus="2xH100-80GB-SXM")
    (node,) = fleet.nodes
    file = tmp_path / "layouts.yml"
    file.write_text(LAYOUTS)
    for write in ("nvmlDeviceCreateGpuInstanceWithPlacement", "nvmlGpuInstanceDestroy"):
        node.sim.latency(write, 30_000)
    started = [start(fleet, file, tmp_path, number) for number in range(20)]
    try:
        ends = [finish(process, tmp_path / f"out{number}") for number, process in enumerate(started)]
    finally:
        for process in started:
            process.kill()
            process.wait()

    assert set(ends) <= {"done", "locked"}, ends
    assert "done" in ends
    cards = [sorted(gi["profile"] for gi in gpu["instances"]) for gpu in node.sim.show()["gpus"]]
    assert cards in ([WANTED["pair"]] * 2, [WANTED["seven"]] * 2)
    assert all(len(gi["compute_instances"]) == 1 for gpu in node.sim.show()["gpus"] for gi in gpu["instances"])
    # no run's writes stand among those of another
    pids = [write["pid"] for write in node.sim.writes()]
    assert all(write["result"] == 0 for write in node.sim.writes())
    runs = [pid for at, pid in enumerate(pids) if at == 0 or pids[at - 1] != pid]
    assert len(runs) == len(set(runs))
    journal = (node.home / ".local/state/migprov/journal.jsonl").read_text().splitlines()
    assert [json.loads(line).get("result") for line in journal[1::2]] == ["done"] * len(runs)


def start(fleet: Fleet, file: Path, folder: Path, number: int) -> subprocess.Popen[bytes]:
    """One apply, of the layouts in turn; its output goes to a file."""
    name = list(WANTED)[number % 2]
    command = ["migprov", "apply", str(file), name, "-i", str(fleet.inventory), "--json"]
    if number < BY_ANSIBLE:
        play = folder / f"play{number}.yml"
        play.write_text(PLAY % (file, name))
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(fleet.inventory), str(play)]
    with (folder / f"out{number}").open("wb") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder, env=os.environ)


def finish(process: subprocess.Popen[bytes], out: Path) -> str:
    """`done`, or `locked` where the holder was named; anything else as it was printed."""
    status = process.wait(300)
    text = out.read_text()
    if status == 0:
        return "done"
    return "locked" if HOLDER.search(" ".join(text.split())) else f"{status}: {text}"
