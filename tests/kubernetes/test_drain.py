"""Draining nodes of a real API server; kubelet and scheduler are the stand-in's (stand_in.py)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from migprov.fleet.kubernetes import Api, DrainOptions, cordoned_by_migprov, drain, names, resume
from migprov.fleet.kubernetes.errors import BudgetForbids, NeedsLeave, NodeUnknown, PodsStay
from migprov.fleet.kubernetes.node import cordon, edit
from migprov.fleet.kubernetes.state import from_json, read

from .conftest import Place, until

QUICK: dict[str, Any] = {"timeout_s": 120.0, "poll_s": 0.1}
SHORT: dict[str, Any] = {"timeout_s": 1.0, "poll_s": 0.1}
CHANGE = "layout voice"


@contextmanager
def in_background(act: object) -> Iterator[threading.Thread]:
    """Run something beside the test; it has to end with it."""
    thread = threading.Thread(target=act)  # type: ignore[arg-type]
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()


def test_pods_with_gpus_go_and_all_others_stay(place: Place, api: Api) -> None:
    first, second = place.node(), place.node()
    place.served("asr", 1)
    idle = place.served("web", 1, gpu=0)
    place.daemon_set("logs")
    until(lambda: len(place.on(first)) == 3, "the pods are on the first node")
    left = place.on(first, "asr")

    done = drain(api, first, CHANGE, DrainOptions(**QUICK))

    assert [step["action"] for step in done.steps] == ["cordon", "evict"]
    assert done.steps[1]["pod"] == f"{place.namespace}/{left[0]}"
    assert done.steps[1]["gpu"] == {"nvidia.com/gpu": 1}
    assert place.on(first, "asr") == []
    assert place.on(first, "web") == [idle[0]["metadata"]["name"]]
    assert len(place.on(first, "logs")) == 1
    until(lambda: len(place.on(second, "asr")) == 1, "it runs elsewhere")
    node = read(api, first)
    assert (node.unschedulable, node.change) == (True, CHANGE)


def test_a_second_drain_writes_nothing_and_a_resume_gives_all_back(place: Place, api: Api) -> None:
    node = place.node()
    place.node()
    before = place.raw(node)
    drain(api, node, CHANGE, DrainOptions(**QUICK))
    drained = place.raw(node)

    again = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert (again.changed, again.steps) == (False, ())
    assert place.raw(node)["metadata"]["resourceVersion"] == drained["metadata"]["resourceVersion"]

    done = resume(api, node)
    assert [step["action"] for step in done.steps] == ["uncordon"]
    after = place.raw(node)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert resume(api, node).changed is False


def test_who_is_drained_and_for_what_can_be_read_from_the_cluster(place: Place, api: Api) -> None:
    mine, other = place.node(), place.node()
    drain(api, mine, CHANGE, DrainOptions(**QUICK))
    api.patch_node(other, {"spec": {"unschedulable": True}})
    (found,) = [one for one in cordoned_by_migprov(api) if one.node in (mine, other)]
    assert (found.node, found.change) == (mine, CHANGE)
    assert found.since.endswith("+00:00")


def test_a_node_that_somebody_else_cordoned_stays_so(place: Place, api: Api) -> None:
    node = place.node()
    place.node()
    place.served("asr", 1)
    api.patch_node(node, {"spec": {"unschedulable": True}})

    done = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert [step["action"] for step in done.steps] == ["evict"]
    assert place.on(node, "asr") == []
    assert not read(api, node).by_migprov

    done = resume(api, node)
    assert (done.changed, done.notes) == (False, ("the node was cordoned, but not by migprov, and stays so",))
    assert read(api, node).unschedulable


def test_somebody_elses_cordon_between_look_and_write_is_noticed(place: Place, api: Api) -> None:
    node = place.node()
    looks: list[int] = []

    def decide(found: object) -> dict[str, object] | None:
        looks.append(1)
        if len(looks) == 1:
            api.patch_node(node, {"spec": {"unschedulable": True}})
            return {"spec": {"unschedulable": True}, "metadata": {"annotations": {names.CORDONED: CHANGE}}}
        return None

    found = edit(api, node, decide)
    assert len(looks) == 2
    assert found.unschedulable
    assert not found.by_migprov
    assert cordon(api, node, CHANGE)[1] is False


# --- budgets --------------------------------------------------------------------------------------------------------


def test_a_budget_that_allows_nothing_is_waited_for_then_named_and_the_node_given_back(place: Place, api: Api) -> None:
    node = place.node()
    place.node()
    place.served("asr", 1)
    place.served("free", 1)
    place.budget("asr-budget", "asr", minAvailable=1)
    running = {pod["metadata"]["uid"] for pod in place.pods()}
    before = place.raw(node)

    with pytest.raises(BudgetForbids) as caught:
        drain(api, node, CHANGE, DrainOptions(**SHORT))

    budget = f"{place.namespace}/asr-budget"
    assert caught.value.budgets == (budget,)
    message = str(caught.value)
    assert message.startswith(f"{node}: pods may not be evicted within 1 s: {place.namespace}/asr-")
    assert f"disruption budget {budget} (allows 0 disruptions: 1 healthy, 1 needed)" in message
    assert "The node is not cordoned. The node's GPUs were not touched." in message
    # The pod that no budget holds is there too: none goes before all may.
    assert {pod["metadata"]["uid"] for pod in place.pods()} == running
    after = place.raw(node)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]


def test_a_budget_that_allows_one_after_another_lets_all_go(place: Place, api: Api) -> None:
    node = place.node()
    place.node()
    place.served("asr", 3)
    place.budget("asr-budget", "asr", maxUnavailable=1)
    assert len(place.on(node, "asr")) == 3
    done = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert [step["action"] for step in done.steps] == ["cordon", "evict", "evict", "evict"]
    assert place.on(node, "asr") == []


def test_a_budget_that_gives_in_while_it_is_waited_for(place: Place, api: Api) -> None:
    node = place.node()
    place.node()
    place.served("asr", 1)
    place.budget("asr-budget", "asr", minAvailable=1)

    def give_in() -> None:
        until(lambda: read(api, node).unschedulable, "the node is cordoned")
        place.change_budget("asr-budget", minAvailable=0)

    with in_background(give_in):
        done = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert [step["action"] for step in done.steps] == ["cordon", "evict"]


def test_two_budgets_for_one_pod_are_named_at_once(place: Place, api: Api) -> None:
    node = place.node()
    place.node()
    place.served("asr", 1)
    for name in ("one", "two"):
        place.budget(name, "asr", minAvailable=0)
    with pytest.raises(BudgetForbids, match=r"more than one PodDisruptionBudget") as caught:
        drain(api, node, CHANGE, DrainOptions(timeout_s=3600, poll_s=0.1))
    assert set(caught.value.budgets) == {f"{place.namespace}/one", f"{place.namespace}/two"}
    assert not read(api, node).unschedulable


# --- pods that ask, and pods that stay --------------------------------------------------------------------------------


def test_pods_that_would_lose_something_are_asked_about_before_anything_is_written(place: Place, api: Api) -> None:
    node = place.node()
    place.pod("alone", node)
    place.pod("scratch", node, volumes=[{"name": "data", "emptyDir": {}}])
    before = place.raw(node)
    with pytest.raises(NeedsLeave) as caught:
        drain(api, node, CHANGE, DrainOptions(**SHORT))
    assert [(ask.pod.name, ask.option) for ask in caught.value.asks] == [
        ("alone", "force"),
        ("scratch", "force"),
        ("scratch", "delete_emptydir_data"),
    ]
    assert "force: true and delete_emptydir_data: true" in str(caught.value)
    assert place.raw(node)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert len(place.on(node)) == 2

    done = drain(api, node, CHANGE, DrainOptions(**QUICK, force=True, delete_emptydir_data=True))
    assert [step["pod"].rpartition("/")[2] for step in done.steps[1:]] == ["alone", "scratch"]
    assert place.on(node) == []


def test_a_pod_that_does_not_end_is_named_and_the_node_given_back(place: Place, api: Api) -> None:
    node = place.node()
    place.node()
    (stuck,) = place.served("asr", 1, ends="never")
    path = f"{place.namespace}/{stuck['metadata']['name']}"
    with pytest.raises(PodsStay) as caught:
        drain(api, node, CHANGE, DrainOptions(**SHORT))
    assert caught.value.pods == (path,)
    assert f"{path} (leaving since " in str(caught.value)
    assert f"Evicted before: {path}." in str(caught.value)
    assert not read(api, node).unschedulable


def test_a_pod_that_was_leaving_already_is_waited_for(place: Place, api: Api) -> None:
    node = place.node()
    uid = place.pod("late", node, annotations={"stand-in/ends": "never"})
    place.core.delete_namespaced_pod("late", place.namespace)

    def end() -> None:
        until(lambda: read(api, node).unschedulable, "the node is cordoned")
        place.core.patch_namespaced_pod("late", place.namespace, {"metadata": {"annotations": {"stand-in/ends": None}}})

    with in_background(end):
        done = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert uid not in [pod["metadata"]["uid"] for pod in api.pods(node)]
    assert [step["action"] for step in done.steps] == ["cordon"]


def test_a_drain_that_was_killed_is_taken_up_and_its_failure_leaves_the_node_drained(place: Place, api: Api) -> None:
    """What the first run did to the GPUs is not known, so the second does not give the node back."""
    node = place.node()
    place.served("asr", 1, ends="never")
    cordon(api, node, "layout before")
    with pytest.raises(
        PodsStay, match=r"stays cordoned .migprov: layout before, since .*GPUs were not touched by this"
    ):
        drain(api, node, CHANGE, DrainOptions(**SHORT))
    assert read(api, node).change == "layout before"


def test_check_mode_tells_and_writes_nothing(place: Place, api: Api) -> None:
    node = place.node({names.DEVICE_PLUGIN: "true"})
    place.node()
    place.served("asr", 1)
    place.served("free", 1)
    place.budget("asr-budget", "asr", minAvailable=1)
    before, pods = place.raw(node), {pod["metadata"]["uid"] for pod in place.pods()}
    told = drain(api, node, CHANGE, DrainOptions(**QUICK), check=True)
    assert [step["action"] for step in told.steps] == ["cordon", "evict", "evict", "pause"]
    assert any(f"would have to wait: disruption budget {place.namespace}/asr-budget" in note for note in told.notes)
    assert place.raw(node)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert {pod["metadata"]["uid"] for pod in place.pods()} == pods

    place.change_budget("asr-budget", minAvailable=0)
    done = drain(api, node, CHANGE, DrainOptions(**QUICK))
    assert done.steps == told.steps


def test_an_unknown_node_is_named(api: Api) -> None:
    with pytest.raises(NodeUnknown, match=r"has no node nowhere. Nothing was changed"):
        drain(api, "nowhere", CHANGE)


def test_a_stale_annotation_is_no_cordon() -> None:
    node = from_json({"metadata": {"name": "n", "annotations": {names.CORDONED: CHANGE}}, "spec": {}})
    assert not node.by_migprov
    assert node.change is None
