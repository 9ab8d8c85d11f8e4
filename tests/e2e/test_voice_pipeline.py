"""The main job: the language model keeps GPU 0, GPU 1 becomes two 3g.40gb, GPU 2 is free; by each way in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import migprov
from migprov.sim.nodes import Fleet, FleetNode

from . import ways

LAYOUTS = Path(__file__).resolve().parents[2] / "demo" / "layouts.yml"
LAYOUT = "voice-pipeline"
MODEL_MIB = 74957  # 73.2 GB of 1024 MiB

Way = Callable[..., ways.Outcome]


def gpus(node: FleetNode) -> list[dict[str, Any]]:
    """What the GPUs of the node are, read through the library."""
    with migprov.connect(
        node.host,
        port=node.port,
        user=node.user,
        key_files=[str(node.key)],
        known_hosts=str(node.known_hosts),
        become=True,
    ) as connected:
        result = connected.info()
    state = result.after or result.before
    assert state is not None
    found: list[dict[str, Any]] = state["gpus"]
    return found


def running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"


@pytest.mark.parametrize("way", [ways.command_line, ways.library, ways.ansible], ids=lambda way: way.__name__)
def test_from_whole_cards_to_a_layout(way: Way, fleet: Fleet, tmp_path: Path) -> None:
    node = fleet.nodes[0]
    model = node.sim.hold(gpu=0, memory_mib=MODEL_MIB)
    job = ways.Job(node, LAYOUTS, LAYOUT, tmp_path)
    untouched = gpus(node)[0]

    planned = way(job, check=True)
    assert planned.changed
    assert {step["gpu"] for step in planned.steps} == {1}
    assert node.sim.write_count() == 0
    assert [gpu["mig_current"] for gpu in gpus(node)] == [False, False, False]

    done = way(job, check=False)
    assert done.changed
    assert done.steps == planned.steps
    assert node.sim.write_count() > 0

    assert_layout(node, untouched, model.pid)
    writes = node.sim.write_count()

    again = way(job, check=False)
    assert (again.changed, again.steps) == (False, [])
    assert node.sim.write_count() == writes
    verify = ["migprov", "verify", str(LAYOUTS), LAYOUT, "-i", str(fleet.inventory)]
    assert subprocess.run(verify, check=False, env=os.environ).returncode == 0


def assert_layout(node: FleetNode, model_card: dict[str, Any], model_pid: int) -> None:
    """GPU 0 as it was with its process; GPU 1 cut in two halves that can be used; GPU 2 whole and free."""
    first, second, third = gpus(node)
    assert first == model_card
    assert [process["pid"] for process in first["processes"]] == [model_pid]
    assert running(model_pid)
    assert second["mig_current"]
    assert [(each["profile"], each["size"]) for each in second["instances"]] == [("3g.40gb", 4)] * 2
    uuids = {each["compute_instances"][0]["uuid"] for each in second["instances"]}
    assert len(uuids) == 2
    assert all(uuid.startswith("MIG-") for uuid in uuids)
    assert (third["mig_current"], third["instances"], third["processes"]) == (False, [], [])
