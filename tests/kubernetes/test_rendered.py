"""What `migprov render` writes for Kubernetes, before a real API server: server-side dry runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from migprov import layouts
from migprov.capacity.model import Workload
from migprov.render import configmap, dcgm, device_plugin, labels, names, pods

from ..render.plans import GIB, cards, plan
from .conftest import Place

Json = dict[str, Any]
WORKLOADS = [
    Workload("language-model", 73 * GIB, headroom=0.0, most_per_node=1),
    Workload("Speech To Text", 10 * GIB, replicas=2, engines=frozenset(["decoder"])),
    Workload("jpegs", 4 * GIB, engines=frozenset(["jpeg"])),
]
LAYOUTS = "version: v1\nmig-configs:\n  seven: [{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 7}}]\n"


def lost(given: Any, kept: Any, where: str = "") -> Iterator[str]:
    """What the server did not keep: it drops fields that it does not know, without a word."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept.get(key), f"{where}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, value in enumerate(given):
            yield from lost(value, kept[number], f"{where}[{number}]")
    elif str(given) != str(kept):
        yield f"{where}: {given!r} became {kept!r}"


@dataclass
class Server:
    """The API server without a client library in between, which would have an opinion of its own."""

    url: str
    token: str
    ca: Path

    def send(self, method: str, path: str, text: str, kind: str = "application/yaml", **query: str) -> Json:
        """What the server makes of a text."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, "Accept": "application/json"}
        answer = requests.request(
            method,
            self.url + path,
            params=query,
            data=text.encode(),
            headers=headers,
            verify=str(self.ca),
            timeout=60,
        )
        assert answer.ok, answer.text
        found: Json = answer.json()
        return found

    def kept(self, path: str, text: str) -> Json:
        """The object that a server-side dry run makes of it, after a look whether anything of it was lost."""
        found = self.send("POST", path, text, dryRun="All")
        assert list(lost(yaml.safe_load(text), found)) == []
        return found


@pytest.fixture
def server(kubeconfig: Path) -> Server:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    return Server(cluster["server"], user["token"], Path(cluster["certificate-authority"]))


def test_what_is_lost_is_found() -> None:
    assert list(lost({"a": {"b": 1, "c": [1]}}, {"a": {"b": "1", "c": []}})) == [".a.c: [1] became []"]


def test_config_maps(place: Place, server: Server) -> None:
    found = layouts.loads(LAYOUTS)
    path = f"/api/v1/namespaces/{place.namespace}/configmaps"
    for file in (
        configmap.file({name: found.layout(name).to_json() for name in found.names}, namespace=place.namespace),
        device_plugin.manifest(device_plugin.Sharing(mps={"gpu": 4}), namespace=place.namespace),
        dcgm.files("operator", namespace=place.namespace)[0],
    ):
        server.kept(path, file.text)


def test_deployments_and_their_patches(place: Place, server: Server) -> None:
    path = f"/apis/apps/v1/namespaces/{place.namespace}/deployments"
    options = pods.Options(form="deployment", image="none", namespace=place.namespace, pin=True)
    deployments = pods.file(WORKLOADS, plan(WORKLOADS), options).text.split("---\n")
    assert len(deployments) == 3
    for text in deployments:
        server.kept(path, text)
        server.send("POST", path, text.replace("nvidia.com/", "example.com/"))  # what is there before
    options = pods.Options(form="patch", namespace=place.namespace)
    for text in pods.file(WORKLOADS, plan(WORKLOADS), options).text.split("---\n"):
        patch = yaml.safe_load(text)
        name, kind = patch["metadata"]["name"], "application/strategic-merge-patch+json"
        found = server.send("PATCH", f"{path}/{name}", json.dumps(patch), kind, dryRun="All")
        (wanted,) = patch["spec"]["template"]["spec"]["containers"]
        (container,) = found["spec"]["template"]["spec"]["containers"]
        assert list(lost(wanted, container)) == []
        assert container["image"] == "none"  # the rest of it stays
        assert found["spec"]["replicas"] == patch["spec"]["replicas"]


def test_pods_of_a_deployment_are_seated_by_its_labels(place: Place) -> None:
    """A node with the labels that are rendered takes a pod that asks for them."""
    asr = [Workload("asr", 10 * GIB, replicas=4)]
    one = plan(asr, cards(1))
    made = yaml.safe_load(pods.file(asr, one, pods.Options("single", "deployment", "none")).text)
    gpu = {
        "index": 0,
        "name": "NVIDIA A100-SXM4-80GB",
        "device_id": "0x20B210DE",
        "memory_mib": 81920,
        "mig_capable": True,
        "mig_current": True,
        "instances": [{"compute_instances": [{"profile": "1g.20gb"}]}] * 4,
        "error": None,
    }
    node = place.node(labels.of_node([gpu], "single"), {"nvidia.com/gpu": 4})
    (document,) = yaml.safe_load_all(labels.file({node: labels.of_node([gpu], "single")}).text)
    assert list(lost(document["metadata"]["labels"], place.raw(node)["metadata"]["labels"])) == []
    terms = made["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (term,) = terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    (expression,) = term["matchExpressions"]
    wanted = f"{expression['key']} in ({','.join(expression['values'])})"
    found = plain_names(place, wanted)
    assert node in found


def plain_names(place: Place, selector: str) -> list[str]:
    answer: Any = place.core.list_node(label_selector=selector, _preload_content=False)
    nodes = json.loads(answer.data)["items"]
    return [each["metadata"]["name"] for each in nodes]


def test_labels_are_applied_beside_others(place: Place, server: Server) -> None:
    node = place.node({"theirs": "stays"})
    own = {names.PRODUCT: "NVIDIA-A100-SXM4-80GB", labels.PCI: "true"}
    text = labels.file({node: own}).text
    apply = "application/apply-patch+yaml"
    found = server.send("PATCH", f"/api/v1/nodes/{node}", text, apply, fieldManager="migprov", dryRun="All")
    assert found["metadata"]["labels"]["theirs"] == "stays"
    assert own.items() <= found["metadata"]["labels"].items()
