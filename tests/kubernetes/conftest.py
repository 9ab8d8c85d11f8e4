"""A cluster for all tests that need one, and nodes with pods in it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from migprov.fleet.kubernetes import Api, connect

from . import cluster

Json = dict[str, Any]
WAIT_S = 120
"""For what always happens; how soon depends on the machine."""
numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of these tests also waits for the cluster."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="package")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The administrator's kubeconfig of a real API server."""
    lacking = cluster.missing()
    if lacking:
        pytest.skip(lacking)
    with cluster.running(tmp_path_factory.mktemp("cluster")) as file:
        yield file


@pytest.fixture
def api(kubeconfig: Path) -> Iterator[Api]:
    """The cluster, for its administrator."""
    with connect(str(kubeconfig)) as api:
        yield api


def until(look: Callable[[], Any], what: str) -> Any:
    """What `look` finds once it finds something."""
    end = time.monotonic() + WAIT_S
    while not (found := look()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.05)
    return found


@dataclass
class Place:
    """A namespace and nodes of one test, and what is made in it."""

    kubeconfig: Path
    namespace: str
    api: Api
    nodes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        from kubernetes import client, config

        config.load_kube_config(str(self.kubeconfig))
        # The client takes plain data where its stubs name models.
        self.core: Any = client.CoreV1Api()
        self.custom: Any = client.CustomObjectsApi()
        self.core.create_namespace({"metadata": {"name": self.namespace}})  # type: ignore[arg-type]

    # --- making -------------------------------------------------------------------------------------------------

    def node(
        self, labels: Mapping[str, str] | None = None, offers: Mapping[str, int] | None = None, name: str = ""
    ) -> str:
        """Make a node. `offers`: what a device plugin would offer there."""
        name = name or f"{self.namespace}-{len(self.nodes)}"
        annotations = {"stand-in/offers": json.dumps(dict(offers or {}))}
        found = {"test": self.namespace, "test-node": name, **(labels or {})}
        self.core.create_node({"metadata": {"name": name, "labels": found, "annotations": annotations}})
        self.nodes.append(name)
        # As the controller for nodes does for one whose kubelet reports.
        self.core.patch_node(name, {"spec": {"taints": None}})
        return name

    def annotate(self, node: str, **annotations: str) -> None:
        """Tell the stand-in how to play on this node."""
        given = {f"stand-in/{key}": value for key, value in annotations.items()}
        self.core.patch_node(node, {"metadata": {"annotations": given}})

    def spec(self, gpu: int = 1, **more: Any) -> Json:
        """A pod's."""
        container: Json = {"name": "main", "image": "none"}
        if gpu:
            container["resources"] = {"limits": {"nvidia.com/gpu": str(gpu)}}
        return {"containers": [container], "terminationGracePeriodSeconds": 1, **more}

    def pod(self, name: str, node: str, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> str:
        """A pod that nothing starts again, running; its uid."""
        body = {"metadata": {"name": name, "annotations": dict(annotations or {})}}
        self.core.create_namespaced_pod(self.namespace, {**body, "spec": self.spec(nodeName=node, **spec)})
        found = until(lambda: self.running(name), f"pod {name} runs")
        return str(found["metadata"]["uid"])

    def served(self, name: str, replicas: int, *, ends: str = "", **spec: Any) -> list[Json]:
        """A replica set on the nodes of this test, running; its pods."""
        template = self._template(name, "", ends, {"nodeSelector": {"test": self.namespace}, **spec})
        self._create("replicasets", {"metadata": {"name": name}, "spec": {"replicas": replicas, **template}})
        return list(until(lambda: self._all_run(name, replicas), f"replica set {name} runs"))

    def daemon_set(self, name: str, plays: str = "", **spec: Any) -> None:
        """A daemon set on the nodes of this test."""
        spec = {"gpu": 0, **spec}
        spec["nodeSelector"] = {"test": self.namespace, **spec.get("nodeSelector", {})}
        self._create("daemonsets", {"metadata": {"name": name}, "spec": self._template(name, plays, "", spec)})

    def budget(self, name: str, app: str, **rule: Any) -> None:
        """A disruption budget for the pods of `app`, known to the cluster."""
        spec = {"selector": {"matchLabels": {"app": app}}, **rule}
        self._create("poddisruptionbudgets", {"metadata": {"name": name}, "spec": spec}, "policy", "v1beta1")
        until(lambda: self._budget(name).get("status", {}).get("expectedPods"), f"budget {name} counts")

    def change_budget(self, name: str, **rule: Any) -> None:
        """Another rule for it."""
        arguments = ("policy", "v1beta1", self.namespace, "poddisruptionbudgets", name)
        self.custom.patch_namespaced_custom_object(*arguments, {"spec": rule})

    def _template(self, name: str, plays: str, ends: str, spec: Json) -> Json:
        labels = {"app": name, **({"stand-in": plays} if plays else {})}
        metadata = {"labels": labels, "annotations": {"stand-in/ends": ends} if ends else {}}
        return {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": metadata, "spec": self.spec(**spec)},
        }

    def _create(self, plural: str, body: Json, group: str = "apps", version: str = "v1") -> None:
        kinds = {"replicasets": "ReplicaSet", "daemonsets": "DaemonSet", "poddisruptionbudgets": "PodDisruptionBudget"}
        whole = {"apiVersion": f"{group}/{version}", "kind": kinds[plural], **body}
        self.custom.create_namespaced_custom_object(group, version, self.namespace, plural, whole)

    # --- looking --------------------------------------------------------------------------------------------------

    def pods(self, app: str = "") -> list[Json]:
        """The pods of the namespace that are not leaving."""
        answer = self.core.list_namespaced_pod(self.namespace, _preload_content=False)
        found = [pod for pod in json.loads(answer.data)["items"] if not pod["metadata"].get("deletionTimestamp")]
        return [pod for pod in found if not app or (pod["metadata"].get("labels") or {}).get("app") == app]

    def running(self, name: str) -> Json | None:
        """The pod, if it runs."""
        return next((pod for pod in self.pods() if pod["metadata"]["name"] == name and _runs(pod)), None)

    def on(self, node: str, app: str = "") -> list[str]:
        """The names of the pods on a node, leaving or not."""
        found = [pod for pod in self.api.pods(node) if not app or pod["metadata"].get("labels", {}).get("app") == app]
        return sorted(pod["metadata"]["name"] for pod in found)

    def raw(self, node: str) -> Json:
        """The node as it is."""
        found = self.api.node(node)
        assert found is not None
        return found

    def _all_run(self, app: str, count: int) -> list[Json]:
        found = [pod for pod in self.pods(app) if _runs(pod)]
        return found if len(found) == count else []

    def _budget(self, name: str) -> Json:
        arguments = ("policy", "v1beta1", self.namespace, "poddisruptionbudgets", name)
        found: Json = self.custom.get_namespaced_custom_object(*arguments)
        return found

    def clear(self) -> None:
        """Take everything away."""
        for pod in self.api_pods():
            self.core.patch_namespaced_pod(pod, self.namespace, {"metadata": {"annotations": {"stand-in/ends": None}}})
        self.core.delete_namespace(self.namespace)
        for node in self.nodes:
            self.core.delete_node(node)

    def api_pods(self) -> list[str]:
        """The names of all pods of the namespace."""
        return [pod.metadata.name for pod in self.core.list_namespaced_pod(self.namespace).items]


def _runs(pod: Json) -> bool:
    return bool((pod.get("status") or {}).get("phase") == "Running")


@pytest.fixture
def place(kubeconfig: Path, api: Api) -> Iterator[Place]:
    """A namespace of its own."""
    place = Place(kubeconfig, f"t{next(numbers)}", api)
    yield place
    place.clear()
