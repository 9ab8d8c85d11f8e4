"""The labels of GPU nodes, for clusters without Node Feature Discovery and GPU feature discovery. Pure.

Names as in GPU feature discovery's README and NVIDIA's "GPU Operator with MIG"; the GPU Operator takes a node for one
with GPUs by the label of NVIDIA's PCI vendor id, 10de.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..fleet.kubernetes import names as labels
from ..fleet.kubernetes import resources
from ..fleet.kubernetes.resources import GPU, resource
from ..mig import geometry
from . import names
from .errors import CannotRender, RenderError
from .text import File, documents

PCI = "feature.node.kubernetes.io/pci-10de.present"
Gpu = Mapping[str, Any]


def of_node(gpus: Sequence[Gpu], strategy: str, config: str | None = None) -> dict[str, str]:
    """The labels of a node, from its GPUs (as in the State of docs/architecture.md).

    `config` is a layout of the MIG manager; the label makes the manager bring the node to it.

    Raises:
        RenderError: a GPU does not answer, there is none, or the device plugin offers nothing with this strategy.
    """
    for gpu in gpus:
        if gpu.get("error"):
            raise RenderError(
                f"GPU {gpu['index']} does not answer ({gpu['error']['message']}), so nobody knows what the labels are",
                next="see what is wrong with it (migprov info), then run the same again.",
            )
    if not gpus:
        raise CannotRender("there is no GPU, so there is nothing to label")
    if trouble := resources.offer(gpus, strategy).trouble:
        raise CannotRender(trouble, next="change the node's layout, or render for another strategy.")
    models = sorted({str(gpu["name"]) for gpu in gpus})
    found = {PCI: "true", f"{GPU}.present": "true"}
    if len(models) == 1:  # one label for two products would be wrong for one of them
        found |= {names.PRODUCT: _product(gpus, strategy), f"{GPU}.memory": str(_memory(gpus, strategy))}
    found[f"{GPU}.count"] = str(_count(gpus, strategy))
    found["nvidia.com/mig.capable"] = "true" if any(gpu["mig_capable"] for gpu in gpus) else "false"
    if strategy != "none":
        found[labels.STRATEGY] = strategy
    if strategy == "mixed":
        found |= _mixed(gpus)
    if config is not None:
        found[labels.CONFIG] = names.label_value(config, "the layout")
    return {key: names.label_value(value, f"the value of {key}") for key, value in found.items()}


def file(nodes: Mapping[str, Mapping[str, str]]) -> File:
    """The labels of nodes, for server-side apply, which touches no other label."""
    said = [
        "Labels of GPU nodes, by migprov render labels. Other labels stay:",
        "kubectl apply --server-side --field-manager migprov -f node-labels.yaml",
    ]
    given = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": names.object_name(node, "the node"), "labels": dict(found)},
        }
        for node, found in nodes.items()
    ]
    if not given:
        raise CannotRender("there is no node to label")
    return File("node-labels.yaml", documents(given, said))


def _single(gpus: Sequence[Gpu], strategy: str) -> str | None:
    """The one profile of a node with the strategy single and MIG on."""
    if strategy != "single" or not gpus[0]["mig_current"]:
        return None
    return resources.devices(gpus[0])[0]


def _product(gpus: Sequence[Gpu], strategy: str) -> str:
    return names.product_label(str(gpus[0]["name"]), _single(gpus, strategy))


def _count(gpus: Sequence[Gpu], strategy: str) -> int:
    return len(gpus) if _single(gpus, strategy) is None else sum(len(resources.devices(gpu)) for gpu in gpus)


def _memory(gpus: Sequence[Gpu], strategy: str) -> int:
    """MiB of what `nvidia.com/gpu` is on the node."""
    profile = _single(gpus, strategy)
    own = None if profile is None else _instance_memory(gpus[0], profile)
    return int(gpus[0]["memory_mib"]) if own is None else own


def _instance_memory(gpu: Gpu, profile: str) -> int | None:
    product = geometry.find(str(gpu["device_id"]), str(gpu["name"]))
    for each in product.card.profiles if product else ():
        if each.name == profile:
            return each.memory_mib
    return None


def _mixed(gpus: Sequence[Gpu]) -> dict[str, str]:
    counts = Counter(profile for gpu in gpus for profile in resources.devices(gpu) if gpu["mig_current"])
    of: dict[str, list[Gpu]] = defaultdict(list)
    for gpu in gpus:
        for profile in resources.devices(gpu):
            of[profile].append(gpu)
    found: dict[str, str] = {}
    for profile, count in sorted(counts.items()):
        name = resource(profile)
        found[f"{name}.count"] = str(count)
        models = {str(gpu["name"]) for gpu in of[profile]}
        if len(models) == 1 and "+" not in profile:
            found[f"{name}.product"] = names.product_label(models.pop(), profile)
        memory = _instance_memory(of[profile][0], profile)
        if memory is not None:
            found[f"{name}.memory"] = str(memory)
    return found
