"""Which pods go, which stay, which ask: pure, so it runs everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from migprov.fleet.kubernetes.budgets import holding, selects
from migprov.fleet.kubernetes.plan import gpu_of, plan, pod_from_json

GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
HALF = {"resources": {"requests": {"nvidia.com/mig-3g.40gb": "2"}}}


def pod(name: str = "a", *, owner: str | None = "ReplicaSet", phase: str = "Running", **more: Any) -> dict[str, Any]:
    """A pod as the API gives it."""
    spec = {"containers": [{"name": "main", **GPU}], **more.pop("spec", {})}
    owners = [{"kind": owner, "name": "x", "controller": True}] if owner else []
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "ownerReferences": owners, **more}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


IDLE = {"containers": [{"name": "main"}]}
LOCAL = {"volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "conf", "configMap": {"name": "x"}}]}
MIRROR = {"kubernetes.io/config.mirror": "hash"}


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (pod(), "evict"),
        (pod(owner="StatefulSet"), "evict"),
        (pod(owner="Job"), "evict"),
        (pod(spec=IDLE), "holds no GPU"),
        (pod(owner="DaemonSet"), "of a daemon set"),
        (pod(owner="Node", annotations=MIRROR), "a static pod"),
        (pod(owner=None), "ask force"),
        (pod(spec=LOCAL), "ask delete_emptydir_data"),
        (pod(owner=None, spec=LOCAL), "ask force, delete_emptydir_data"),
        (pod(deletionTimestamp="2026-01-01T00:00:00Z"), "leaving"),
        # What goes already asks for no leave.
        (pod(deletionTimestamp="2026-01-01T00:00:00Z", owner=None, spec=LOCAL), "leaving"),
        (pod(phase="Succeeded"), "nothing"),
        (pod(phase="Failed", owner=None), "nothing"),
        (pod(phase="Pending"), "evict"),
        (
            pod(spec={"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "0"}}}]}),
            "holds no GPU",
        ),
    ],
)
def test_what_becomes_of_a_pod(given: dict[str, Any], verdict: str) -> None:
    assert _verdict(given).startswith(verdict)


@pytest.mark.parametrize("given", [pod(spec=IDLE), pod(spec={**IDLE, "volumes": []}, owner="Job")])
def test_with_all_pods_those_without_gpu_go_too(given: dict[str, Any]) -> None:
    assert _verdict(given, which="all") == "evict"


@pytest.mark.parametrize("given", [pod(owner="DaemonSet"), pod(annotations=MIRROR)])
def test_daemon_sets_and_static_pods_stay_also_with_all(given: dict[str, Any]) -> None:
    assert _verdict(given, which="all") not in ("evict", "leaving")


def test_leave_is_given_for_each_reason_by_itself() -> None:
    both = pod(owner=None, spec=LOCAL)
    assert _verdict(both, force=True) == "ask delete_emptydir_data"
    assert _verdict(both, delete_emptydir_data=True) == "ask force"
    assert _verdict(both, force=True, delete_emptydir_data=True) == "evict"


def _verdict(given: dict[str, Any], **options: Any) -> str:
    which = options.pop("which", "gpu")
    found = plan([pod_from_json(given)], which, **options)
    if found.evict or found.leaving:
        return "evict" if found.evict else "leaving"
    if found.asks:
        return "ask " + ", ".join(ask.option for ask in found.asks)
    return found.stay[0].why if found.stay else "nothing"


@pytest.mark.parametrize(
    ("spec", "held"),
    [
        ({"containers": [GPU, GPU]}, {"nvidia.com/gpu": 2}),
        ({"containers": [HALF]}, {"nvidia.com/mig-3g.40gb": 2}),
        ({"containers": [{}], "initContainers": [GPU]}, {"nvidia.com/gpu": 1}),
        ({"containers": [GPU], "initContainers": [GPU, GPU]}, {"nvidia.com/gpu": 1}),
        ({"containers": [{}], "initContainers": [{**GPU, "restartPolicy": "Always"}]}, {"nvidia.com/gpu": 1}),
        ({"containers": [GPU], "initContainers": [{**GPU, "restartPolicy": "Always"}]}, {"nvidia.com/gpu": 2}),
        # A sidecar holds its own while the init container behind it works.
        ({"containers": [{}], "initContainers": [{**GPU, "restartPolicy": "Always"}, GPU]}, {"nvidia.com/gpu": 2}),
        ({"containers": [{}], "initContainers": [GPU, {**GPU, "restartPolicy": "Always"}]}, {"nvidia.com/gpu": 1}),
        ({"containers": [{"resources": {"limits": {"cpu": "1", "amd.com/gpu": "1"}}}]}, {}),
        ({"containers": []}, {}),
    ],
)
def test_what_a_pod_holds_is_counted_as_the_scheduler_does(spec: dict[str, Any], held: dict[str, int]) -> None:
    assert gpu_of(spec) == held


@pytest.mark.parametrize(
    ("spec", "sign"),
    [
        ({"volumes": [{"name": "d", "hostPath": {"path": "/dev/nvidia0"}}]}, "/dev/nvidia0"),
        ({"volumes": [{"name": "d", "hostPath": {"path": "/dev"}}]}, "/dev is mounted"),
        ({"runtimeClassName": "nvidia"}, "runtime class nvidia"),
        ({"resourceClaims": [{"name": "gpu"}]}, "resource claim gpu"),
        (
            {
                "containers": [
                    {
                        "name": "sneak",
                        "securityContext": {"privileged": True},
                        "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}],
                    }
                ]
            },
            "container sneak is privileged",
        ),
    ],
)
def test_a_pod_that_uses_gpus_without_holding_one_is_named(spec: dict[str, Any], sign: str) -> None:
    (note,) = plan([pod_from_json(pod(spec={**IDLE, **spec}))]).notes
    assert "shop/a" in note
    assert sign in note


def test_nothing_is_noted_of_pods_that_have_nothing_to_do_with_gpus() -> None:
    visible = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
    container = {"name": "x", "securityContext": {"privileged": True}, "env": visible}
    volumes = [{"name": "d", "hostPath": {"path": "/var/log"}}]
    assert plan([pod_from_json(pod(spec={"containers": [container], "volumes": volumes}))]).notes == ()


def test_a_daemon_sets_pod_that_holds_a_gpu_is_noted() -> None:
    (note,) = plan([pod_from_json(pod(owner="DaemonSet"))]).notes
    assert "shop/a holds 1 x nvidia.com/gpu and stays" in note


SELECTOR = {
    "matchLabels": {"app": "asr"},
    "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}],
}


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        (SELECTOR, {"app": "asr", "tier": "b"}, True),
        (SELECTOR, {"app": "asr", "tier": "c"}, False),
        (SELECTOR, {"tier": "a"}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, {}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, {"app": "x"}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, {"app": ""}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, {}, True),
        (None, {"app": "asr"}, False),
    ],
)
def test_selectors(selector: dict[str, Any] | None, labels: dict[str, str], selected: bool) -> None:
    assert selects(selector, labels) is selected


@pytest.mark.parametrize("empty_is_all", [True, False])
def test_an_empty_selector_means_what_the_version_of_the_api_says(empty_is_all: bool) -> None:
    budget = {"metadata": {"namespace": "shop", "name": "all"}, "spec": {"selector": {}}}
    found = holding([budget], {"app": "asr"}, empty_is_all=empty_is_all)
    assert [one.path for one in found] == (["shop/all"] if empty_is_all else [])
