"""A node with NVIDIA's MIG manager is given its layout; the manager is the stand-in's."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from migprov.fleet.kubernetes import Api, DrainOptions, drain, names
from migprov.fleet.kubernetes.errors import ManagerFailed, PodsStay
from migprov.fleet.kubernetes.manager import ManagerOptions, manage
from migprov.fleet.kubernetes.state import read

from .conftest import Place, until
from .test_config_map import OTHERS, entries
from .test_drain import CHANGE, QUICK, in_background

QUICKLY = ManagerOptions(timeout_s=120, poll_s=0.1)
SHORTLY = ManagerOptions(timeout_s=1.5, poll_s=0.1)
LAYOUTS = """
version: v1
mig-configs:
  voice:
    - {devices: [1], mig-enabled: true, mig-devices: {3g.40gb: 2}}
  whole:
    - {devices: all, mig-enabled: false}
"""
VOICE = entries(LAYOUTS, "voice")
WHOLE = entries(LAYOUTS, "whole")
MANAGED = {names.MANAGER: "true", names.CONFIG: "all-disabled"}


@pytest.fixture
def node(place: Place) -> str:
    """A node whose MIG manager has brought the layout all-disabled."""
    name = place.node(MANAGED)
    place.core.create_namespaced_config_map(
        place.namespace, {"metadata": {"name": "parts"}, "data": {"config.yaml": OTHERS}}
    )
    volumes = [{"name": "mig-parted-config", "configMap": {"name": "parts"}}]
    place.daemon_set("manager", "mig-manager", nodeSelector={names.MANAGER: "true"}, volumes=volumes)
    until(lambda: state(place, name) == "success", "the manager is at rest")
    return name


def state(place: Place, node: str) -> str:
    """What the manager says."""
    return str(place.raw(node)["metadata"]["labels"].get(names.CONFIG_STATE, ""))


def written(place: Place) -> str:
    """The manager's configuration."""
    found = place.api.config_map(place.namespace, "parts")
    assert found is not None
    return str(found["data"]["config.yaml"])


def test_the_manager_gets_the_layout_and_brings_it(place: Place, api: Api, node: str) -> None:
    told = manage(api, node, "voice", VOICE, QUICKLY, check=True)
    assert (written(place), read(api, node).labels[names.CONFIG]) == (OTHERS, "all-disabled")

    done = manage(api, node, "voice", VOICE, QUICKLY)
    where = f"{place.namespace}/parts"
    assert done.steps == (
        {"action": "write", "config_map": where, "config": "migprov-voice"},
        {"action": "label", "label": names.CONFIG, "value": "migprov-voice"},
    )
    assert done.steps == told.steps
    configs = yaml.safe_load(written(place))["mig-configs"]
    assert configs.pop("migprov-voice") == [{"devices": [1], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]
    assert configs == yaml.safe_load(OTHERS)["mig-configs"]
    labels = place.raw(node)["metadata"]["labels"]
    assert (labels[names.CONFIG], labels[names.CONFIG_STATE]) == ("migprov-voice", "success")
    assert labels[names.MANAGER] == "true"
    assert names.PAUSED not in place.raw(node)["metadata"]["annotations"]


def test_a_second_time_nothing_is_written(place: Place, api: Api, node: str) -> None:
    manage(api, node, "voice", VOICE, QUICKLY)
    before = place.raw(node)["metadata"]["resourceVersion"]
    done = manage(api, node, "voice", VOICE, QUICKLY)
    assert (done.changed, done.steps) == (False, ())
    assert place.raw(node)["metadata"]["resourceVersion"] == before


def test_a_layout_that_changed_under_its_name_is_brought_anew(place: Place, api: Api, node: str) -> None:
    """The label stays the same then, which a running manager would not look at."""
    manage(api, node, "voice", VOICE, QUICKLY)
    (old,) = place.on(node)
    done = manage(api, node, "voice", WHOLE, QUICKLY)
    assert done.changed
    assert place.on(node) != [old]
    assert yaml.safe_load(written(place))["mig-configs"]["migprov-voice"] == [{"devices": "all", "mig-enabled": False}]


def test_a_failure_of_the_manager_is_told_with_its_state_and_what_was_before(place: Place, api: Api, node: str) -> None:
    place.annotate(node, manager="fails")
    with pytest.raises(ManagerFailed) as caught:
        manage(api, node, "voice", VOICE, QUICKLY)
    message = str(caught.value)
    assert "nvidia.com/mig.config=migprov-voice, nvidia.com/mig.config.state=failed" in message
    assert "the config was all-disabled before" in message
    assert f"kubectl logs, pod {place.namespace}/manager-" in message

    place.annotate(node, manager="")
    assert manage(api, node, "voice", VOICE, QUICKLY).changed
    assert state(place, node) == "success"


def test_a_manager_that_hangs_is_left_at_the_deadline(place: Place, api: Api, node: str) -> None:
    place.annotate(node, manager="hangs")
    told: list[str] = []

    def hangs() -> bool:
        """Whether the time was enough for the manager to begin."""
        place.core.patch_node(node, {"metadata": {"labels": {names.CONFIG_STATE: "success"}}})
        with pytest.raises(ManagerFailed) as caught:
            manage(api, node, "voice", VOICE, ManagerOptions(timeout_s=5, poll_s=0.1))
        told.append(str(caught.value))
        return "pending" in told[-1]

    until(hangs, "the manager begins in time")
    assert re.search(r"mig.config.state=pending, for 5 s \(since .* UTC\)", told[-1])


def test_what_the_manager_does_for_others_is_waited_for_first(place: Place, api: Api, node: str) -> None:
    place.annotate(node, manager="hangs")
    place.core.patch_node(node, {"metadata": {"labels": {names.CONFIG: "all-1g.10gb"}}})
    until(lambda: state(place, node) == "pending", "it is at work")
    with pytest.raises(ManagerFailed, match=r"at work for somebody else .*config=all-1g.10gb.*Nothing was changed"):
        manage(api, node, "voice", VOICE, SHORTLY)
    assert written(place) == OTHERS

    def end() -> None:
        place.annotate(node, manager="")

    with in_background(end):
        assert manage(api, node, "voice", VOICE, QUICKLY).changed


def test_a_manager_that_does_not_pause_is_given_back(place: Place, api: Api, node: str) -> None:
    (pod,) = place.on(node)
    place.core.patch_namespaced_pod(pod, place.namespace, {"metadata": {"annotations": {"stand-in/ends": "never"}}})
    with pytest.raises(PodsStay, match=r"given back as it was"):
        manage(api, node, "voice", VOICE, SHORTLY)
    labels = place.raw(node)["metadata"]["labels"]
    assert (labels[names.MANAGER], labels[names.CONFIG]) == ("true", "all-disabled")


def test_where_no_manager_runs_it_is_not_given_anything(place: Place, api: Api) -> None:
    with pytest.raises(ManagerFailed, match=r"does not run on the node. Nothing was changed"):
        manage(api, place.node(), "voice", VOICE, QUICKLY)


@pytest.mark.parametrize("options", [{"config_map": "nothing"}, {"namespace": "nowhere", "config_map": "parts"}])
def test_a_config_map_that_is_not_there_is_named(place: Place, api: Api, node: str, options: dict[str, Any]) -> None:
    with pytest.raises(ManagerFailed, match=r"there is no config map .* Nothing was changed"):
        manage(api, node, "voice", VOICE, ManagerOptions(**options))


def test_the_companions_of_a_managed_node_are_the_managers_to_pause(place: Place, api: Api, node: str) -> None:
    api.patch_node(node, {"metadata": {"labels": {names.DEVICE_PLUGIN: "true"}}})
    done = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert [step["action"] for step in done.steps] == ["cordon"]
    assert read(api, node).labels[names.DEVICE_PLUGIN] == "true"


@pytest.mark.parametrize(
    ("value", "manager"), [("true", True), ("paused-for-driver-upgrade", True), ("false", False), (None, False)]
)
def test_a_paused_manager_is_one_too(place: Place, api: Api, value: str | None, manager: bool) -> None:
    assert read(api, place.node({names.MANAGER: value} if value else {})).manager is manager
