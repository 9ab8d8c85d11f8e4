"""The GPU Operator told about MIG: Helm values, or a patch of its ClusterPolicy. Pure.

Keys as in NVIDIA's "GPU Operator with MIG", "ClusterPolicy Custom Resource Reference" and the chart's values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from . import configmap, names
from .errors import CannotRender
from .text import File, document

Strategy = Literal["single", "mixed"]


@dataclass(frozen=True)
class Options:
    """What the operator is told. `manager`: NVIDIA's MIG manager makes the layouts (out of the ConfigMap `config`);
    else migprov does, and the manager is switched off, since two of them would undo each other's work.

    `plugin_config` is the device plugin's ConfigMap (sharing) and `plugin_default` the key in it for nodes without the
    label `nvidia.com/device-plugin.config`; `dcgm_config` is dcgm-exporter's. None: left as it is.
    """

    strategy: Strategy = "mixed"
    manager: bool = False
    config: str = configmap.NAME
    plugin_config: str | None = None
    plugin_default: str | None = None
    dcgm_config: str | None = None
    nfd: bool = True


def spec(options: Options) -> dict[str, Any]:
    """What values and the ClusterPolicy's spec have in common. Raises CannotRender: a name that cannot be one."""
    made: dict[str, Any] = {"mig": {"strategy": options.strategy}, "migManager": _manager(options)}
    if options.plugin_config is not None:
        config = {"name": names.object_name(options.plugin_config, "the device plugin's ConfigMap")}
        if options.plugin_default is not None:
            config["default"] = names.label_value(options.plugin_default, "the default configuration")
        made["devicePlugin"] = {"config": config}
    elif options.plugin_default is not None:
        raise CannotRender("a default of the device plugin's ConfigMap is given, but not the ConfigMap's name")
    if options.dcgm_config is not None:
        name = names.object_name(options.dcgm_config, "dcgm-exporter's ConfigMap")
        made["dcgmExporter"] = {"enabled": True, "config": {"name": name}}
    return made


def _manager(options: Options) -> dict[str, Any]:
    if not options.manager:
        return {"enabled": False}
    # The default is what happens to nodes without a label: "all-disabled" would undo what is on them, "" leaves them.
    return {"enabled": True, "config": {"name": names.object_name(options.config, "the ConfigMap"), "default": ""}}


def values(options: Options) -> File:
    """Helm values. Raises CannotRender."""
    said = [
        "Values for NVIDIA's GPU Operator, by migprov render gpu-operator:",
        "helm upgrade gpu-operator nvidia/gpu-operator -n gpu-operator --reuse-values -f values.yaml",
    ]
    made = spec(options)
    return File("values.yaml", document(made if options.nfd else {"nfd": {"enabled": False}, **made}, said))


def patch(options: Options) -> File:
    """A merge patch of the ClusterPolicy. Raises CannotRender."""
    said = [
        "For NVIDIA's GPU Operator that is installed, by migprov render gpu-operator:",
        "kubectl patch clusterpolicy cluster-policy --type merge --patch-file clusterpolicy-patch.yaml",
    ]
    return File("clusterpolicy-patch.yaml", document({"spec": spec(options)}, said))
