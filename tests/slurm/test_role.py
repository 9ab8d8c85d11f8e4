"""The role and the modules, before a real slurmctld: what a play sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.plays import Ansible, Run

from .cluster import Cluster

pytestmark = pytest.mark.timeout(600)  # Ansible on a machine that has other work

DRAIN = "Let Slurm give the node no new jobs, and wait for those that run"
BACK = "Give the node back to Slurm"


class Play:
    """A play with entry points of the role on gn0, whose Slurm commands run here."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        inventory = folder / "hosts.yml"
        host = {"ansible_connection": "local", "gpu_drain_slurm_conf": str(cluster.conf)}
        inventory.write_text(json.dumps({"all": {"hosts": {"gn0.example.com": host}}}))
        self.ansible = Ansible(folder, inventory)

    def __call__(self, *points: str, arguments: tuple[str, ...] = (), **variables: Any) -> Run:
        tasks = [
            {"ansible.builtin.include_role": {"name": "migprov.gpu.gpu_drain_slurm", "tasks_from": point}}
            for point in points
        ]
        show = {"name": "Fact", "ansible.builtin.debug": {"var": "gpu_drain_node"}}
        given = json.dumps({"mig_layout_change": "layout voice", **variables})
        return self.ansible.play([*tasks, show], "-e", given, *arguments)


@pytest.fixture
def play(tmp_path: Path, cluster: Cluster) -> Play:
    return Play(tmp_path, cluster)


def fact(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.result("Fact")["gpu_drain_node"]
    return found


def test_drained_then_resumed_and_each_a_second_time(play: Play, cluster: Cluster) -> None:
    told = play("preflight", "drain", arguments=("--check", "--diff"))
    assert told.result(DRAIN)["changed"]
    assert "  reason: migprov: layout voice\n" in told.result(DRAIN)["diff"]["after"]
    assert (fact(told)["drained"], fact(told)["by_migprov"]) == (True, True)
    assert cluster.state("gn0") == "IDLE"

    done = play("drain", "drain")
    assert [task.result["changed"] for task in done.tasks if task.task.endswith(f" : {DRAIN}")] == [True, False]
    assert told.result(DRAIN)["steps"] == next(t for t in done.tasks if t.task.endswith(f" : {DRAIN}")).result["steps"]
    assert fact(done)["reason"] == "migprov: layout voice"
    assert cluster.state("gn0") == "IDLE+DRAIN"

    back = play("resume", "resume")
    assert [task.result["changed"] for task in back.tasks if task.task.endswith(f" : {BACK}")] == [True, False]
    assert fact(back) == {
        "scheduler": "slurm",
        "node": "gn0",
        "drained": False,
        "by_migprov": False,
        "reason": "",
        "manager": False,
    }
    assert cluster.state("gn0") == "IDLE"


def test_when_the_time_is_up_the_task_fails_with_the_jobs_as_data(play: Play, cluster: Cluster) -> None:
    job = cluster.submit("gn0")
    done = play("drain", gpu_drain_slurm_timeout=0.5)
    failed = done.of(DRAIN)
    assert (done.rc, failed.status) == (2, "failed")
    assert failed.result["error"]["code"] == "slurm_jobs"
    assert [one["id"] for one in failed.result["error"]["jobs"]] == [job]
    assert "gpu_drain_slurm_timeout" in failed.result["msg"]
    assert "DRAIN" not in cluster.state("gn0")


def test_preflight_fails_for_a_node_that_slurm_does_not_know_and_for_a_wrong_value(play: Play) -> None:
    unknown = play("preflight", gpu_drain_slurm_node="gn9")
    assert unknown.rc == 2
    assert unknown.of("Ask Slurm for the node").result["error"]["code"] == "slurm_unknown_node"
    wrong = play("drain", gpu_drain_slurm_jobs="kill")
    assert wrong.rc == 2
    assert "value of gpu_drain_slurm_jobs must be one of: wait, requeue" in wrong.output
