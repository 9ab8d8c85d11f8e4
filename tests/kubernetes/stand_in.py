"""A stand-in for everything of a cluster that needs machines. It is no kubelet, no scheduler, no device plugin and no
MIG manager; it plays as much of them as the tests look at, with the official client:

- scheduler: binds a pending pod to the first node by name that is schedulable and that its node selector allows.
- kubelet: pods run and are ready at once; deleted ones are gone at the next look, unless the pod's annotation
  `stand-in/ends` is "never".
- device plugin: a node on which a pod with the label `stand-in: device-plugin` is ready offers what the node's
  annotation `stand-in/offers` says (JSON); without such a pod it offers none of that.
- MIG manager: a ready pod with the label `stand-in: mig-manager` looks at the node's label nvidia.com/mig.config when
  it starts and whenever that changes, in the config map as it was when the pod started: unknown configurations fail,
  others succeed a look later. The node's annotation `stand-in/manager` may say "hangs" or "fails".
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

LOOK_S = 0.15
CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
Json = dict[str, Any]


class StandIn:
    """One look after another."""

    def __init__(self, kubeconfig: str) -> None:
        config.load_kube_config(kubeconfig)
        self.core: Any = client.CoreV1Api()  # its stubs name models where it takes plain data
        self.managers: dict[str, Manager] = {}

    def look(self) -> None:
        """Do once what is to be done."""
        pods = self._items(self.core.list_pod_for_all_namespaces)
        nodes = {node["metadata"]["name"]: node for node in self._items(self.core.list_node)}
        for pod in pods:
            # Somebody else may have been quicker.
            with contextlib.suppress(ApiException):
                self._pod(pod, nodes)
        for name, node in nodes.items():
            there = [pod for pod in pods if pod["spec"].get("nodeName") == name and self._ready(pod)]
            with contextlib.suppress(ApiException):
                self._offers(node, any(self._plays(pod, "device-plugin") for pod in there))
            for pod in there:
                if self._plays(pod, "mig-manager"):
                    uid = pod["metadata"]["uid"]
                    manager = self.managers.setdefault(uid, Manager(self.core, pod))
                    with contextlib.suppress(ApiException):
                        manager.look(node)

    def _items(self, call: Any) -> list[Json]:
        found: list[Json] = json.loads(call(_preload_content=False).data)["items"]
        return found

    # --- kubelet and scheduler ------------------------------------------------------------------------------------

    def _pod(self, pod: Json, nodes: dict[str, Json]) -> None:
        metadata, name = pod["metadata"], pod["spec"].get("nodeName")
        if not name:
            self._bind(pod, nodes)
        elif metadata.get("deletionTimestamp"):
            if (metadata.get("annotations") or {}).get("stand-in/ends") != "never":
                options = client.V1DeleteOptions(grace_period_seconds=0)
                self.core.delete_namespaced_pod(metadata["name"], metadata["namespace"], body=options)
        elif not self._ready(pod) and (pod.get("status") or {}).get("phase") in ("Pending", None):
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            self.core.patch_namespaced_pod_status(metadata["name"], metadata["namespace"], {"status": status})

    def _bind(self, pod: Json, nodes: dict[str, Json]) -> None:
        for name in sorted(nodes):
            if self._may(pod, nodes[name]):
                target = {"apiVersion": "v1", "kind": "Node", "name": name}
                body = {"metadata": {"name": pod["metadata"]["name"]}, "target": target}
                self.core.create_namespaced_binding(pod["metadata"]["namespace"], body, _preload_content=False)
                return

    def _may(self, pod: Json, node: Json) -> bool:
        labels = node["metadata"].get("labels") or {}
        affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
        terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
        # As the daemon set controller wants it: a field that is the node's name.
        fields = [field["values"] for term in terms for field in term.get("matchFields") or []]
        if fields:
            return [node["metadata"]["name"]] in fields
        wanted = pod["spec"].get("nodeSelector") or {}
        return not node["spec"].get("unschedulable") and all(labels.get(key) == wanted[key] for key in wanted)

    def _ready(self, pod: Json) -> bool:
        conditions = (pod.get("status") or {}).get("conditions") or []
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        return ready and not pod["metadata"].get("deletionTimestamp")

    def _plays(self, pod: Json, part: str) -> bool:
        return bool((pod["metadata"].get("labels") or {}).get("stand-in") == part)

    # --- device plugin ----------------------------------------------------------------------------------------------

    def _offers(self, node: Json, served: bool) -> None:
        metadata, status = node["metadata"], node.get("status") or {}
        offers = json.loads((metadata.get("annotations") or {}).get("stand-in/offers", "{}")) if served else {}
        have = {key: value for key, value in (status.get("allocatable") or {}).items() if key.startswith("nvidia.com/")}
        # What was once offered stays, as 0.
        wanted = {**dict.fromkeys(have, "0"), **{key: str(value) for key, value in offers.items()}}
        if have != wanted:
            self.core.patch_node_status(metadata["name"], {"status": {"allocatable": wanted, "capacity": wanted}})


class Manager:
    """One pod's life as MIG manager."""

    def __init__(self, core: client.CoreV1Api, pod: Json) -> None:
        self.core = core
        self.seen: str | None = None
        self.pending = False
        volumes = [volume["configMap"]["name"] for volume in pod["spec"].get("volumes") or [] if "configMap" in volume]
        found = core.read_namespaced_config_map(volumes[0], pod["metadata"]["namespace"])
        self.configs = yaml.safe_load(found.data["config.yaml"])["mig-configs"]

    def look(self, node: Json) -> None:
        """Begin what the label says, or end what was begun."""
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        plays = (node["metadata"].get("annotations") or {}).get("stand-in/manager")
        wanted = labels.get(CONFIG)
        if wanted and wanted != self.seen:
            self.seen, self.pending = wanted, True
            self._say(name, "pending")
        elif self.pending and plays != "hangs":
            self.pending = False
            self._say(name, "success" if wanted in self.configs and plays != "fails" else "failed")

    def _say(self, node: str, state: str) -> None:
        self.core.patch_node(node, {"metadata": {"labels": {STATE: state}}})


if __name__ == "__main__":
    stand_in = StandIn(sys.argv[1])
    while True:
        try:
            stand_in.look()
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        time.sleep(LOOK_S)
