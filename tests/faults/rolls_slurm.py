"""A controller killed while Slurm keeps a node away for it: not forgotten, and the next run gives the node back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tests.slurm.cluster import Cluster

from .rolls import Ground, ground
from .rolls_kills import ALL, killed_when
from .rolls_ways import COMMAND, Way, run

CHANGE = "Bring the GPUs to the layout"
RESUME = "Give the node back to Slurm"
TASKS = (CHANGE, RESUME)
"""Between drain and resume: before the change, and after it."""


@contextmanager
def slurm_ground() -> Iterator[tuple[Ground, Cluster]]:
    """Two nodes in two batches, and the Slurm that hands them out."""
    with ExitStack() as stack:
        made = stack.enter_context(ground(2, (1, 1)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rolls-slurm-")))
        folder.chmod(0o755)
        cluster = Cluster(folder, nodes=made.names)
        stack.callback(cluster.end)
        cluster.start()
        variables = {
            "mig_layout_scheduler": "slurm",
            "gpu_drain_slurm_host": "localhost",
            "gpu_drain_slurm_conf": str(cluster.conf),
        }
        beside = made.fleet.inventory.parent / "group_vars"
        beside.mkdir()
        (beside / "all.yml").write_text(yaml.safe_dump(variables))
        yield made, cluster


def killed_between_drain_and_resume(made: Ground, cluster: Cluster, way: Way, task: str, what: str) -> None:
    """Killed at that task of the first batch: told by `migprov status -i`, and given back by the same again."""
    made.reset()
    made.variables = {}
    cluster.clean()
    before, (first, *rest) = cluster.sinfo(), made.names
    died = killed_when(made, way, what, lambda m: m["kind"] == "task" and bool(m["rolls"]) and m["task"].endswith(task))
    assert died.wanted == ([first] if task == RESUME else [])
    if what == ALL:
        assert "DRAIN" in cluster.state(first)
        assert cluster.show(first, "Reason").startswith("migprov: ")
        assert all(cluster.state(name) == "IDLE" for name in rest)
        told = run(made, ["migprov", "status", "-i", str(made.fleet.inventory), "--json"])
        assert told.status == 0, told.said
        answer = json.loads(told.said)
        assert [(node["host"], node["scheduler"]) for node in answer["drained"]] == [(first, "slurm")], told.said
        if way is COMMAND:
            assert answer["rolls"][0]["maybe_drained"] == [first], told.said
    ended = run(made, way.again(made))
    assert ended.status == 0, ended.said
    assert made.wanted() == made.names
    assert all(made.writes()[name] == died.writes[name] for name in died.wanted)
    cluster.until(lambda: cluster.sinfo() == before, "Slurm has every node as before")
