#!/usr/bin/env python3
"""What is in the cluster, by the official client alone: knows nothing of migprov.

objects.py make KUBECONFIG    the nodes gpu1 and gpu2, a device plugin, a service with a budget that allows nothing
objects.py ready KUBECONFIG   exits 0 when all of it runs
objects.py relax KUBECONFIG   lets the budget give in
objects.py show KUBECONFIG    prints the nodes as JSON
"""

import json
import sys

from kubernetes import client, config

PLUGIN = "nvidia.com/gpu.deploy.device-plugin"
# What the stand-in's device plugin is to find after the roll.
OFFERS = {"nvidia.com/gpu": 1, "nvidia.com/mig-3g.40gb": 2}
BUDGET = ("policy", "v1beta1", "default", "poddisruptionbudgets")


def template(app, plays, limits, selector):
    container = {"name": "main", "image": "none", "resources": {"limits": limits}}
    return {
        "selector": {"matchLabels": {"app": app}},
        "template": {
            "metadata": {"labels": {"app": app, "stand-in": plays}},
            "spec": {"containers": [container], "nodeSelector": selector, "terminationGracePeriodSeconds": 1},
        },
    }


def make():
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    for name in ("gpu1", "gpu2"):
        labels = {PLUGIN: "true", "nvidia.com/mig.strategy": "mixed"}
        metadata = {"name": name, "labels": labels, "annotations": {"stand-in/offers": json.dumps(OFFERS)}}
        core.create_node({"metadata": metadata})
        # As the controller for nodes does for one whose kubelet reports.
        core.patch_node(name, {"spec": {"taints": None}})
    spec = template("plugin", "device-plugin", {}, {PLUGIN: "true"})
    apps.create_namespaced_daemon_set("default", {"metadata": {"name": "plugin"}, "spec": spec})
    spec = template("asr", "nothing", {"nvidia.com/gpu": "1"}, {})
    apps.create_namespaced_replica_set("default", {"metadata": {"name": "asr"}, "spec": {"replicas": 1, **spec}})
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "asr"}}}
    body = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "asr"}, "spec": spec}
    client.CustomObjectsApi().create_namespaced_custom_object(*BUDGET, body)


def ready():
    pods = client.CoreV1Api().list_namespaced_pod("default").items
    budget = client.CustomObjectsApi().get_namespaced_custom_object(*BUDGET, "asr")
    running = [pod for pod in pods if pod.status.phase == "Running"]
    if len(running) != 3 or budget.get("status", {}).get("currentHealthy") != 1:
        raise SystemExit(1)


def relax():
    client.CustomObjectsApi().patch_namespaced_custom_object(*BUDGET, "asr", {"spec": {"minAvailable": 0}})


def show():
    nodes = json.loads(client.CoreV1Api().list_node(_preload_content=False).data)["items"]
    found = {
        node["metadata"]["name"]: {
            "cordoned": node["spec"].get("unschedulable", False),
            "plugin": node["metadata"]["labels"][PLUGIN],
            "annotations": sorted(node["metadata"]["annotations"]),
            "offers": {key: node["status"].get("allocatable", {}).get(key) for key in OFFERS},
        }
        for node in nodes
    }
    print(json.dumps(found))


config.load_kube_config(sys.argv[2])
{"make": make, "ready": ready, "relax": relax, "show": show}[sys.argv[1]]()
