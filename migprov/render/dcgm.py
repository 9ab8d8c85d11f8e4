"""dcgm-exporter made to tell of MIG devices what the audit wants to know. Pure.

After "DCGM-Exporter Customization" (NVIDIA GPU telemetry) and the values of its Helm chart: `f` watches the GPU
instances of a card with MIG and the card itself without; profiling fields (`DCGM_FI_PROF_*`) need the capability
SYS_ADMIN. In a container MIG devices can be watched with NVIDIA_MIG_MONITOR_DEVICES=all only (NVIDIA Container
Toolkit), which wants the same capability.
"""

from __future__ import annotations

from typing import Any, Literal

from ..capacity.sources import promql
from . import configmap, names
from .text import File, document

NAME = "migprov-dcgm-metrics"
KEY = "dcgm-metrics.csv"
PORT = 9400
Way = Literal["operator", "chart", "container"]

_FOLDER = "/etc/dcgm-exporter"
_HELP = {
    promql.BUSY: "GPU utilization (in %).",
    promql.MEMORY: "Framebuffer memory used (in MiB).",
    promql.FREE: "Framebuffer memory free (in MiB).",
    promql.RESERVED: "Framebuffer memory reserved (in MiB).",
    promql.SM: "Ratio of cycles an SM has at least 1 warp assigned.",
    promql.ENGINE: "Ratio of time the graphics engine is active.",
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": "Ratio of cycles the tensor pipe is active.",
    "DCGM_FI_PROF_DRAM_ACTIVE": "Ratio of cycles the device memory is active.",
}


def counters() -> str:
    """The fields, as the exporter's file of collectors has them: field, kind, help."""
    lines = [f"{field}, gauge, {text}" for field, text in _HELP.items()]
    return "\n".join(["# Memory in MiB, utilization in %, the others from 0 to 1.", *lines]) + "\n"


def environment(*, kubernetes: bool) -> dict[str, str]:
    """The exporter's variables."""
    made = {"DCGM_EXPORTER_LISTEN": f":{PORT}", "DCGM_EXPORTER_COLLECTORS": f"{_FOLDER}/{KEY}"}
    made["DCGM_EXPORTER_DEVICES_STR"] = "f"
    if kubernetes:
        made |= {"DCGM_EXPORTER_KUBERNETES": "true", "DCGM_EXPORTER_KUBERNETES_GPU_ID_TYPE": "uid"}
    return {**made, "NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_MIG_MONITOR_DEVICES": "all"}


def files(way: Way, name: str = NAME, namespace: str = configmap.NAMESPACE) -> list[File]:
    """What the exporter needs, by who runs it: the GPU Operator, its own chart, or a container without Kubernetes.

    Raises:
        CannotRender: a name that cannot be one.
    """
    if way == "container":
        lines = [f"{key}={value}" for key, value in environment(kubernetes=False).items()]
        said = [
            "# For dcgm-exporter in a container, by migprov render dcgm-exporter:",
            f"# docker run --gpus all --cap-add SYS_ADMIN --env-file dcgm-exporter.env -p {PORT}:{PORT} \\",
            f"#   -v $PWD/{KEY}:{_FOLDER}/{KEY}:ro IMAGE",
        ]
        return [File("dcgm-exporter.env", "\n".join([*said, *lines]) + "\n"), File(KEY, counters())]
    metadata = {
        "name": names.object_name(name, "the ConfigMap"),
        "namespace": names.object_name(namespace, "the namespace"),
    }
    fields = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: counters()}}
    values = _of_operator(name) if way == "operator" else _of_chart(name)
    return [
        File(f"{name}.yaml", document(fields, ["The fields of dcgm-exporter, by migprov render dcgm-exporter."])),
        File("values.yaml", document(values, [f"Values for {_CHARTS[way]}, by migprov render dcgm-exporter."])),
    ]


_CHARTS = {"operator": "NVIDIA's GPU Operator", "chart": "the chart of dcgm-exporter"}


def _of_operator(name: str) -> dict[str, Any]:
    # The operator mounts the ConfigMap and sets all else itself.
    env = [{"name": "DCGM_EXPORTER_DEVICES_STR", "value": "f"}]
    return {"dcgmExporter": {"enabled": True, "config": {"name": name}, "env": env}}


def _of_chart(name: str) -> dict[str, Any]:
    mine = environment(kubernetes=True)
    volume = "migprov-metrics"
    return {
        "arguments": ["-f", mine.pop("DCGM_EXPORTER_COLLECTORS")],
        "extraEnv": [
            {"name": key, "value": value}
            for key, value in mine.items()
            if key not in ("DCGM_EXPORTER_LISTEN", "DCGM_EXPORTER_KUBERNETES")  # the chart sets these
        ],
        "extraConfigMapVolumes": [{"name": volume, "configMap": {"name": name}}],
        "extraVolumeMounts": [{"name": volume, "mountPath": f"{_FOLDER}/{KEY}", "subPath": KEY, "readOnly": True}],
        "securityContext": {"runAsNonRoot": False, "runAsUser": 0, "capabilities": {"add": ["SYS_ADMIN"]}},
    }
