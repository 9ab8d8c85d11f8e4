"""Layouts as a ConfigMap for the MIG manager of NVIDIA's GPU Operator. Pure.

The manager reads the key `config.yaml`, which is a file of mig-parted (NVIDIA, "GPU Operator with MIG").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..fleet.kubernetes import config_map
from ..layouts import loads
from . import names
from .errors import CannotRender
from .text import File, document

NAMESPACE = "gpu-operator"
NAME = "migprov-mig-config"
KEY = "config.yaml"
OFF = "all-disabled"
"""The layout that the GPU Operator gives nodes without one, unless told otherwise: it has to be there."""

_OFF_ENTRIES = [{"devices": "all", "mig-enabled": False}]

Layouts = Mapping[str, Sequence[Mapping[str, Any]]]
"""The entries of layouts, as on the wire (docs/architecture.md), by name."""


def config(layouts: Layouts) -> dict[str, Any]:
    """The manager's file; `all-disabled` is in it, added where it is missing.

    Raises:
        CannotSay: an entry says what the manager has no words for. CannotRender: a name cannot be that of a layout.
    """
    if not layouts:
        raise CannotRender("there is no layout to render", next="name a layout file that has one.")
    made = {names.label_value(name, "the layout"): config_map.config(entries) for name, entries in layouts.items()}
    return {"version": "v1", "mig-configs": {**({} if OFF in made else {OFF: _OFF_ENTRIES}), **made}}


def manifest(layouts: Layouts, name: str = NAME, namespace: str = NAMESPACE) -> dict[str, Any]:
    """The ConfigMap. Raises CannotSay, CannotRender; see `config`."""
    text = document(config(layouts))
    loads(text, "the rendered layouts")  # what is written can be read
    metadata = {
        "name": names.object_name(name, "the ConfigMap"),
        "namespace": names.object_name(namespace, "the namespace"),
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: text}}


def file(layouts: Layouts, name: str = NAME, namespace: str = NAMESPACE) -> File:
    """The manifest as a file. Raises CannotSay, CannotRender; see `config`."""
    said = [
        "Layouts for NVIDIA's MIG manager, by migprov render configmap.",
        f"A node gets one of them by the label nvidia.com/mig.config: {', '.join(layouts)}.",
    ]
    return File(f"{name}.yaml", document(manifest(layouts, name, namespace), said))


def of_plan(configs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The layouts of a plan as on the wire. Raises LayoutError."""
    found = loads(document({"version": "v1", "mig-configs": dict(configs)}), "the layouts of the plan")
    return {name: found.layout(name).to_json() for name in found.names}
