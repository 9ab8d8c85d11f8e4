"""Companions paused and brought back, resources awaited; the device plugin is the stand-in's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migprov.fleet.kubernetes import Api, DrainOptions, ResumeOptions, cordoned_by_migprov, drain, names, resume
from migprov.fleet.kubernetes.companions import pause
from migprov.fleet.kubernetes.errors import PodsStay, ResourcesMissing
from migprov.fleet.kubernetes.state import read

from .conftest import Place, until
from .test_drain import CHANGE, QUICK, SHORT
from .test_resources import HALVES, MIXED, WHOLE

MIG = "nvidia.com/mig-3g.40gb"
DCGM = names.DEPLOY + "dcgm-exporter"
OPERATED = {names.DEVICE_PLUGIN: "true", DCGM: "true", names.DEPLOY + "dcgm": "false", names.STRATEGY: "mixed"}


def operator(place: Place) -> None:
    """Daemon sets as NVIDIA's operator makes them, and one that chooses by affinity."""
    place.daemon_set("plugin", "device-plugin", nodeSelector={names.DEVICE_PLUGIN: "true"})
    rule = {"key": DCGM, "operator": "In", "values": ["true"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    place.daemon_set("exporter", affinity=affinity)


def offered(api: Api, node: str) -> dict[str, int]:
    """What the node offers of NVIDIA's resources."""
    return dict(read(api, node).allocatable)


def resumed(api: Api, node: str, gpus: list[dict[str, Any]], **options: Any) -> Any:
    """Give the node back with these GPUs."""
    return resume(api, node, ResumeOptions(gpus=gpus, **{**QUICK, **options}))


def test_companions_are_paused_and_come_back_as_they_were(place: Place, api: Api) -> None:
    node = place.node(OPERATED, {"nvidia.com/gpu": 1})
    operator(place)
    until(lambda: len(place.on(node)) == 2 and offered(api, node), "the companions are there")
    labels = place.raw(node)["metadata"]["labels"]

    done = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert [step.get("label") for step in done.steps] == [None, names.DEVICE_PLUGIN, DCGM]
    assert place.on(node) == []
    paused = place.raw(node)["metadata"]["labels"]
    assert {key: paused[key] for key in OPERATED} == {
        **OPERATED,
        names.DEVICE_PLUGIN: "paused-for-mig-change",
        DCGM: "paused-for-mig-change",
    }
    assert done.after.paused == {names.DEVICE_PLUGIN: "true", DCGM: "true"}

    place.annotate(node, offers=json.dumps({MIG: 2}))
    given = resumed(api, node, [HALVES])
    assert [step["action"] for step in given.steps] == ["resume", "resume", "uncordon"]
    assert place.raw(node)["metadata"]["labels"] == labels
    assert names.PAUSED not in place.raw(node)["metadata"]["annotations"]
    assert offered(api, node) == {"nvidia.com/gpu": 0, MIG: 2}


def test_what_a_killed_run_paused_is_named_and_brought_back(place: Place, api: Api) -> None:
    node = place.node({names.DEVICE_PLUGIN: "true"})
    pause(api, node)
    assert node in [one.node for one in cordoned_by_migprov(api)]
    resume(api, node)
    assert place.raw(node)["metadata"]["labels"][names.DEVICE_PLUGIN] == "true"
    assert node not in [one.node for one in cordoned_by_migprov(api)]


def test_a_label_that_somebody_changed_meanwhile_is_left(place: Place, api: Api) -> None:
    node = place.node(OPERATED)
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    api.patch_node(node, {"metadata": {"labels": {DCGM: "false"}}})
    resume(api, node)
    labels = place.raw(node)["metadata"]["labels"]
    assert (labels[names.DEVICE_PLUGIN], labels[DCGM]) == ("true", "false")


def test_what_others_paused_stays_paused(place: Place, api: Api) -> None:
    node = place.node({DCGM: names.PAUSE})
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    resume(api, node)
    assert place.raw(node)["metadata"]["labels"][DCGM] == names.PAUSE


def test_a_companion_that_does_not_go_fails_the_drain_and_all_is_as_before(place: Place, api: Api) -> None:
    node = place.node(OPERATED)
    body = {"nodeSelector": {names.DEVICE_PLUGIN: "true"}}
    place.daemon_set("plugin", "device-plugin", **body)
    until(lambda: place.on(node), "the plugin is there")
    (pod,) = place.on(node)
    place.core.patch_namespaced_pod(pod, place.namespace, {"metadata": {"annotations": {"stand-in/ends": "never"}}})
    before = place.raw(node)["metadata"]["labels"]
    with pytest.raises(PodsStay, match=r"did not go within 1 s of being paused.*The node is not cordoned"):
        drain(api, node, CHANGE, DrainOptions(**SHORT))
    assert place.raw(node)["metadata"]["labels"] == before
    assert not read(api, node).unschedulable


def test_resources_that_do_not_come_are_named_and_the_node_stays_drained(place: Place, api: Api) -> None:
    node = place.node(OPERATED, {"nvidia.com/gpu": 1})
    operator(place)
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    message = until(lambda: _missing(api, node), "the plugin serves in time")
    assert f"nvidia.com/gpu: 0 wanted, 1 there; {MIG}: 2 wanted, 0 there" in message
    assert f"The node stays as it is (migprov: {CHANGE})" in message
    assert read(api, node).by_migprov

    place.annotate(node, offers=json.dumps({MIG: 2}))
    assert resumed(api, node, [HALVES]).changed
    assert not read(api, node).unschedulable


def _missing(api: Api, node: str) -> str:
    """What a resume of a few seconds says that lacks; nothing where the plugin was not even there."""
    with pytest.raises((ResourcesMissing, PodsStay)) as caught:
        resumed(api, node, [HALVES], timeout_s=3)
    return str(caught.value) if "1 there" in str(caught.value) else ""


def test_a_layout_that_the_strategy_cannot_offer_is_not_waited_for(place: Place, api: Api) -> None:
    node = place.node({**OPERATED, names.STRATEGY: "single"})
    operator(place)
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    with pytest.raises(ResourcesMissing, match=r"MIG strategy single .*of one kind"):
        resumed(api, node, [MIXED], timeout_s=3600)


@pytest.mark.parametrize(("gpus", "offers"), [([HALVES], {"nvidia.com/gpu": 2}), ([WHOLE], {"nvidia.com/gpu": 1})])
def test_without_a_label_any_strategy_that_fits_will_do(
    place: Place, api: Api, gpus: list[dict[str, Any]], offers: dict[str, int]
) -> None:
    node = place.node({names.DEVICE_PLUGIN: "true"}, offers)
    operator(place)
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert resumed(api, node, gpus).changed


def test_without_the_operator_the_device_plugin_is_started_again(place: Place, api: Api) -> None:
    node = place.node(offers={"nvidia.com/gpu": 1})
    place.daemon_set("nvidia-device-plugin-daemonset", "device-plugin")
    until(lambda: offered(api, node), "the plugin serves")
    (old,) = place.on(node)
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert place.on(node) == [old]

    place.annotate(node, offers=json.dumps({MIG: 2}))
    done = resumed(api, node, [HALVES])
    assert done.steps[0] == {"action": "restart", "pod": f"{place.namespace}/{old}"}
    (new,) = place.on(node)
    assert new != old


@pytest.mark.parametrize("pattern", ["my-*", "app=my-plugin", "*/my-plugin-*"])
def test_the_device_plugin_is_found_by_name_path_or_label(place: Place, api: Api, pattern: str) -> None:
    node = place.node(offers={"nvidia.com/gpu": 1})
    place.daemon_set("my-plugin", "device-plugin")
    until(lambda: offered(api, node), "the plugin serves")
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    done = resumed(api, node, [WHOLE], plugin=[pattern])
    assert [step["action"] for step in done.steps] == ["restart", "uncordon"]


def test_without_any_device_plugin_nothing_is_awaited_and_that_is_said(place: Place, api: Api) -> None:
    node = place.node()
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    done = resumed(api, node, [HALVES])
    assert done.notes == ("no device plugin was found on the node, so its resources were not awaited",)
    assert not read(api, node).unschedulable


def test_check_mode_of_a_resume_writes_nothing(place: Place, api: Api) -> None:
    node = place.node(OPERATED)
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    before = place.raw(node)
    told = resume(api, node, check=True)
    assert [step["action"] for step in told.steps] == ["resume", "resume", "uncordon"]
    assert place.raw(node)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert resume(api, node).steps == told.steps
