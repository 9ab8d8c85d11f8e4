"""The configuration of NVIDIA's device plugin: the MIG strategy, and sharing by time-slicing or MPS. Pure.

After the plugin's README, "Shared Access to GPUs": time-slicing and MPS exclude each other; MPS is for whole cards
(`nvidia.com/gpu`) without MIG; a shared resource has at least two replicas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..fleet.kubernetes.resources import GPU
from . import configmap, names
from .errors import CannotRender
from .text import File, document

NAME = "migprov-device-plugin-config"
Strategy = Literal["none", "single", "mixed"]


@dataclass(frozen=True)
class Sharing:
    """How often each resource is handed out. `rename`: under the name with `.shared` behind it.

    `one_only`: a container that asks for more than one is refused, since more is not a larger share. The plugin has
    that for time-slicing; with MPS it always refuses.
    """

    strategy: Strategy = "none"
    time_slicing: Mapping[str, int] = field(default_factory=dict)
    mps: Mapping[str, int] = field(default_factory=dict)
    rename: bool = False
    one_only: bool = True


def config(sharing: Sharing) -> dict[str, Any]:
    """The plugin's file. Raises CannotRender: what the plugin does not do."""
    made: dict[str, Any] = {"version": "v1", "flags": {"migStrategy": sharing.strategy}}
    if sharing.time_slicing and sharing.mps:
        raise CannotRender(
            "time-slicing and MPS exclude each other on a node",
            next="render two configurations, and choose by the label nvidia.com/device-plugin.config.",
        )
    if sharing.time_slicing:
        slicing: dict[str, Any] = {"renameByDefault": sharing.rename, "failRequestsGreaterThanOne": sharing.one_only}
        made["sharing"] = {"timeSlicing": {**slicing, "resources": _resources(sharing.time_slicing, sharing)}}
    if sharing.mps:
        shared = _resources(sharing.mps, sharing)
        if sharing.strategy != "none" or any(each["name"] != GPU for each in shared):
            raise CannotRender(
                "the device plugin shares by MPS only whole cards (nvidia.com/gpu), on nodes without MIG",
                next="share MIG devices by time-slicing, or run MPS on the host (migprov render mps).",
            )
        made["sharing"] = {"mps": {"renameByDefault": sharing.rename, "resources": shared}}
    return made


def _resources(counts: Mapping[str, int], sharing: Sharing) -> list[dict[str, Any]]:
    made: dict[str, int] = {}
    for text, replicas in counts.items():
        name = names.resource_name(text)
        if name != GPU and sharing.strategy != "mixed":
            raise CannotRender(
                f"{name} is there with the MIG strategy mixed only, and this is {sharing.strategy}",
                next="set the strategy to mixed, or share nvidia.com/gpu.",
            )
        if replicas < 2:
            raise CannotRender(f"{name} in {replicas} replicas is not shared: the device plugin wants 2 or more")
        if name in made:
            raise CannotRender(f"{name} is given twice")
        made[name] = replicas
    return [{"name": name, "replicas": replicas} for name, replicas in made.items()]


def file(sharing: Sharing, key: str = "config") -> File:
    """The file itself. Raises CannotRender."""
    names.label_value(key, "the configuration")
    said = ["For NVIDIA's device plugin, by migprov render device-plugin (CONFIG_FILE or --config-file)."]
    return File(f"{key}.yaml", document(config(sharing), said))


def manifest(sharing: Sharing, name: str = NAME, namespace: str = configmap.NAMESPACE, key: str = "config") -> File:
    """It in a ConfigMap, under `key`, which nodes choose with a label. Raises CannotRender."""
    names.label_value(key, "the configuration")
    metadata = {
        "name": names.object_name(name, "the ConfigMap"),
        "namespace": names.object_name(namespace, "the namespace"),
    }
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: document(config(sharing))}}
    said = [
        "For NVIDIA's device plugin, by migprov render device-plugin.",
        f"A node chooses it by the label nvidia.com/device-plugin.config={key}.",
    ]
    return File(f"{name}.yaml", document(made, said))
