"""The whole roll, by plain ansible-playbook: a simulated node behind OpenSSH that is also a node of a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from migprov.fleet.kubernetes import Api, names
from migprov.fleet.kubernetes.state import read

from ..ansible.plays import Ansible, Run
from .conftest import Place, until
from .test_config_map import OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from migprov.sim.nodes import Fleet

VOICE = [{"devices": [1], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]
CUT = {"nvidia.com/gpu": 2, "nvidia.com/mig-3g.40gb": 2}
NODE = "gpu1"
RESUME = "Give the node back to the cluster"


class Roll:
    """A simulated node `gpu1` that is `node` in the cluster, and its rolls."""

    def __init__(self, folder: Path, fleet: Fleet, place: Place) -> None:
        self.ansible = Ansible(folder, fleet.inventory)
        self.sim = next(iter(fleet)).sim
        self.place = place
        self.variables: dict[str, Any] = {
            "mig_layout_config": VOICE,
            "mig_layout_scheduler": "kubernetes",
            "mig_layout_change": "layout voice",
            "gpu_drain_kubernetes_kubeconfig": str(place.kubeconfig),
            "gpu_drain_kubernetes_timeout": 120,
            "gpu_drain_kubernetes_poll": 0.2,
        }

    def __call__(self, *arguments: str, **variables: Any) -> Run:
        """Roll."""
        given = json.dumps({**self.variables, "gpu_drain_kubernetes_node": self.node, **variables})
        return self.ansible.playbook("migprov.gpu.rollout", "-e", given, *arguments)

    def join(self, labels: dict[str, str], offers: dict[str, int]) -> None:
        """Make it a node of the cluster."""
        self.node = self.place.node(labels, offers)


@pytest.fixture
def roll(tmp_path: Path, make_fleet: Callable[..., Fleet], place: Place) -> Roll:
    """One node with three A100-80GB and a node beside it."""
    roll = Roll(tmp_path, make_fleet(), place)
    # What the stand-in's device plugin offers is what it will find after the change.
    roll.join({names.DEVICE_PLUGIN: "true", names.STRATEGY: "mixed"}, CUT)
    place.node()
    place.daemon_set("plugin", "device-plugin", nodeSelector={names.DEVICE_PLUGIN: "true"})
    place.served("asr", 1)
    place.budget("asr-budget", "asr", minAvailable=1)
    until(lambda: len(place.on(roll.node)) == 2, "the plugin and a pod with a GPU are there")
    return roll


def test_a_budget_that_allows_nothing_stops_the_roll_and_all_is_as_before(roll: Roll, place: Place, api: Api) -> None:
    before, pods = place.raw(roll.node), place.on(roll.node)
    told = roll("--check")
    assert told.rc == 0, told.output
    assert place.raw(roll.node)["spec"] == before["spec"]

    stopped = roll(gpu_drain_kubernetes_timeout=1)
    assert stopped.rc == 2, stopped.output
    failed = [task for task in stopped.tasks if task.status == "failed"]
    assert any(f"{place.namespace}/asr-budget (allows 0 disruptions" in task.result["msg"] for task in failed)
    assert roll.sim.write_count() == 0
    after = place.raw(roll.node)
    assert (after["spec"], after["metadata"]["labels"]) == (before["spec"], before["metadata"]["labels"])
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert place.on(roll.node) == pods

    place.change_budget("asr-budget", minAvailable=0)
    done = roll()
    assert done.rc == 0, done.output
    assert roll.sim.write_count() > 0
    node = read(api, roll.node)
    assert not node.unschedulable
    assert dict(node.allocatable) == CUT
    assert place.raw(roll.node)["metadata"]["labels"] == before["metadata"]["labels"]
    # No scheduler prefers a node; the pod may have come back only after the node was uncordoned.
    assert [step["action"] for step in done.of(RESUME).result["steps"]] == ["resume", "uncordon"]

    writes, version = roll.sim.write_count(), place.raw(roll.node)["metadata"]["resourceVersion"]
    again = roll()
    assert again.rc == 0, again.output
    assert not any(task.result.get("changed") for task in again.tasks)
    assert (roll.sim.write_count(), place.raw(roll.node)["metadata"]["resourceVersion"]) == (writes, version)


def test_a_pod_that_needs_leave_stops_the_roll_before_the_first_change(roll: Roll, place: Place) -> None:
    place.pod("alone", roll.node)
    stopped = roll()
    assert stopped.rc == 2, stopped.output
    assert f"{place.namespace}/alone" in stopped.output
    assert "gpu_drain_kubernetes_force to true" in stopped.output
    assert roll.sim.write_count() == 0
    assert not place.raw(roll.node)["spec"].get("unschedulable")


def test_an_unknown_node_stops_the_roll_in_the_preflight(roll: Roll) -> None:
    stopped = roll(gpu_drain_kubernetes_node="nowhere")
    assert stopped.rc == 2, stopped.output
    assert "has no node nowhere" in stopped.output
    assert roll.sim.write_count() == 0


def test_the_managers_word_is_not_taken_for_proof(
    tmp_path: Path, make_fleet: Callable[..., Fleet], place: Place, api: Api
) -> None:
    """The stand-in says success and cuts nothing: the roll sees that, and the node stays drained."""
    body = {"metadata": {"name": "parts"}, "data": {"config.yaml": OTHERS}}
    place.core.create_namespaced_config_map(place.namespace, body)
    roll = Roll(tmp_path, make_fleet(), place)
    roll.join({names.MANAGER: "true"}, {})
    volumes = [{"name": "mig-parted-config", "configMap": {"name": "parts"}}]
    place.daemon_set("manager", "mig-manager", nodeSelector={names.MANAGER: "true"}, volumes=volumes)
    until(lambda: place.on(roll.node), "the manager is there")

    done = roll()
    assert done.rc == 2, done.output
    managed = done.of("Let NVIDIA's MIG manager bring the layout").result
    assert managed["after"]["mig_config_state"] == "success"
    assert done.hosts("Verify the layout", "failed") == [NODE]
    assert roll.sim.write_count() == 0
    assert read(api, roll.node).change == "layout voice"
