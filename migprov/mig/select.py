"""Which GPUs of a node a layout's entries mean."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence

from .errors import BadRequest, NotMigCapable, UnknownGpu
from .state import Gpu
from .wanted import Entry, Selector, Selectors, WantedGpu

_PCI = r"(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])"


def chosen(gpus: Sequence[Gpu], selectors: Selectors) -> List[Gpu]:
    """The GPUs that the selectors name, in order of index; raises UnknownGpu."""
    if isinstance(selectors, str):
        return list(gpus)
    picked = {gpu.index: gpu for gpu in (_one(gpus, selector) for selector in selectors)}
    return [picked[index] for index in sorted(picked)]


def wanted_gpus(gpus: Sequence[Gpu], entries: Sequence[Entry]) -> Dict[int, WantedGpu]:
    """What the entries want of each GPU, by index. GPUs that no entry selects are not in the answer.

    A GPU without MIG is skipped by ``devices: all`` and refused when named. One that does not even tell its device id
    passes every filter: it may be meant, and whoever plans says that it does not answer. Raises UnknownGpu,
    NotMigCapable, or BadRequest when two entries want different things of one GPU or no entry selects any.
    """
    wanted: Dict[int, WantedGpu] = {}
    for entry in entries:
        named = not isinstance(entry.devices, str)
        for gpu in chosen(gpus, entry.devices):
            if not _passes(gpu, entry):
                continue
            if gpu.error is None and not gpu.mig_capable and entry.mig_enabled:
                if named:
                    raise NotMigCapable(
                        "%s, %s, has no MIG, and %s names it" % (gpu.label, gpu.name, _source(entry)),
                        gpu=gpu.index,
                        next="take this GPU out of the layout",
                    )
                continue
            asks = WantedGpu(entry.mig_enabled, entry.instances, entry.source)
            before = wanted.setdefault(gpu.index, asks)
            if _known(gpu) and (before.mig_enabled, before.instances) != (asks.mig_enabled, asks.instances):
                raise BadRequest(
                    "%s and %s want different things of %s" % (before.source, _source(entry), gpu.label),
                    gpu=gpu.index,
                    next="let one entry of the layout speak for each GPU",
                )
    if not wanted:
        raise UnknownGpu(
            "the layout selects no GPU of this node that has MIG; the node has %s"
            % (", ".join(sorted({"%s (%s)" % (gpu.name, gpu.device_id) for gpu in gpus})) or "no GPU"),
            next="check devices and device-filter against what info shows, or leave this node out",
        )
    return wanted


def _source(entry: Entry) -> str:
    return entry.source or "the layout"


def _known(gpu: Gpu) -> bool:
    return gpu.error is None or bool(gpu.device_id)


def _passes(gpu: Gpu, entry: Entry) -> bool:
    if entry.device_filter is None:
        return True
    return not _known(gpu) or any(_number(text) == _number(gpu.device_id) for text in entry.device_filter)


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise BadRequest("device-filter %r is not a number such as 0x20B210DE" % text[:40]) from None


def _one(gpus: Sequence[Gpu], selector: Selector) -> Gpu:
    found: Optional[Gpu] = None
    if isinstance(selector, int):
        found = next((gpu for gpu in gpus if gpu.index == selector), None)
    else:
        address = pci_address(selector)
        for gpu in gpus:
            if (gpu.uuid and selector.lower() == gpu.uuid.lower()) or (
                address is not None and address == pci_address(gpu.pci_bus_id)
            ):
                found = gpu
    if found is None:
        raise UnknownGpu(
            "%s is no GPU of this node, which has %s"
            % (
                "index %d" % selector if isinstance(selector, int) else repr(selector[:80]),
                ", ".join("%d (%s, %s)" % (gpu.index, gpu.uuid, gpu.pci_bus_id) for gpu in gpus) or "none",
            ),
            next="name a GPU by an index, UUID or PCI bus id that info shows",
        )
    return found


def pci_address(text: str) -> Optional[str]:
    """A PCI bus id in one form, whichever of ``00000000:07:00.0``, ``0000:07:00.0``, ``07:00.0`` it came in."""
    match = re.fullmatch(_PCI, text.strip().lower())
    if match is None:
        return None
    domain, bus, device, function = match.groups()
    return "%08x:%02x:%02x.%s" % (int(domain or "0", 16), int(bus, 16), int(device, 16), function)
