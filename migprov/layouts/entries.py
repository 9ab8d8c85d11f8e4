"""From a document that fits the schema to entries: what the schema cannot say is checked here."""

from __future__ import annotations

from itertools import combinations

from migprov.mig.names import BadProfileName, ProfileName, parse
from migprov.mig.select import pci_address
from migprov.mig.wanted import Entry, Selector, WantedCompute, WantedInstance

from .document import Item, Node
from .errors import LayoutError, Problem
from .known import profile_names
from .packing import pack
from .schema import MOST_PROBLEMS
from .words import nearest

_VENDOR = "10DE"
_COMPUTE_SIZES = (1, 2, 3, 4, 6, 7, 8)
"""Compute slices for which nvml.h has an NVML_COMPUTE_INSTANCE_PROFILE_*."""


class EntryReader:
    """Reads layouts; ``problems`` collects what is wrong, so that one run names all of it.

    Raises LayoutError with what was found when there are ``MOST_PROBLEMS``.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def layout(self, node: Node) -> tuple[Entry, ...]:
        """The entries of one layout."""
        entries = tuple(self._entry(element) for element in node.elements())
        lines = [element.line for element in node.elements()]
        for (first, line), (second, other) in combinations(zip(entries, lines, strict=True), 2):
            self._check_overlap(first, line, second, other)
        return entries

    def _wrong(self, line: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.source, line, message, hint))
        if len(self.problems) >= MOST_PROBLEMS:
            raise LayoutError(self.problems)

    def _entry(self, node: Node) -> Entry:
        items = node.items()
        instances = self._instances(items["mig-devices"].node) if "mig-devices" in items else []
        self._check_media(instances, node)
        return Entry(
            devices=self._devices(items["devices"].node),
            mig_enabled=items["mig-enabled"].node.value is True,
            instances=tuple(instances),
            device_filter=self._filter(items["device-filter"].node) if "device-filter" in items else None,
            source=f"{self.source}:{node.line}",
        )

    def _devices(self, node: Node) -> str | tuple[Selector, ...]:
        if node.value == "all":
            return "all"
        devices: list[Selector] = []
        for element in node.elements():
            device = element.value if isinstance(element.value, int) else _selector(element.text)
            if device in devices:
                self._wrong(element.line, f"GPU {device} is named twice in one list", "Name each GPU once.")
            devices.append(device)
        return tuple(devices)

    def _filter(self, node: Node) -> tuple[str, ...] | None:
        elements = node.elements() if isinstance(node.value, list) else [node]
        # An empty filter filters nothing, as in mig-parted.
        filters = tuple(self._device_id(element) for element in elements if element.value != "")
        return filters or None

    def _device_id(self, node: Node) -> str:
        number = node.value if isinstance(node.value, int) else int(node.text, 16)
        digits = f"{number:08X}"
        if digits.startswith(_VENDOR) and not digits.endswith(_VENDOR):
            hint = f"Did you mean 0x{digits[4:]}{_VENDOR}?"
            self._wrong(node.line, f"device-filter {node.text} has the vendor first", hint)
        elif not digits.endswith(_VENDOR):
            hint = f"The last four digits are the vendor: {_VENDOR} is NVIDIA."
            self._wrong(node.line, f"device-filter {node.text} names no NVIDIA device", hint)
        return f"0x{digits}"

    def _instances(self, node: Node) -> list[WantedInstance]:
        if isinstance(node.value, dict):
            return pack(self._counts(node.value))
        return [instance for element in node.elements() for instance in self._instance(element)]

    def _counts(self, items: dict[str, Item]) -> list[tuple[ProfileName, int]]:
        counts = []
        for key, item in items.items():
            name = self._profile(key, item.key_line)
            if name is not None and isinstance(item.node.value, int):
                counts.append((name, item.node.value))
        return counts

    def _instance(self, node: Node) -> list[WantedInstance]:
        items = node.items()
        written = items["profile"].node if items else node
        name = self._profile(written.text, written.line)
        if name is None:
            return []
        if not name.spans_gpu_instance:
            hint = f"Write profile: {name.gpu_instance} with compute-instances: [{name.canonical}]."
            self._wrong(written.line, f"{name.canonical} is the profile of a compute instance", hint)
            return []
        inside = items.get("compute-instances")
        computes = None if inside is None else self._computes(inside.node, name)
        start = _number(items.get("start"))
        count = _number(items.get("count"))
        if start is not None and count is not None and count > 1:
            message = f"{count} instances cannot all have start {start}"
            self._wrong(items["count"].key_line, message, "Write one element for each start.")
        return [WantedInstance(name.gpu_instance, start, computes)] * (1 if count is None else count)

    def _computes(self, node: Node, parent: ProfileName) -> tuple[WantedCompute, ...]:
        computes: list[WantedCompute] = []
        if isinstance(node.value, dict):
            for key, item in node.value.items():
                name = self._compute(key, item.key_line, parent)
                if name is not None:
                    computes += [WantedCompute(name.canonical)] * (_number(item) or 0)
        for element in node.elements():
            items = element.items()
            written = items["profile"].node if items else element
            name = self._compute(written.text, written.line, parent)
            if name is not None:
                computes.append(WantedCompute(name.canonical, _number(items.get("start"))))
        self._check_compute_room(computes, parent, node.line)
        return tuple(computes)

    def _compute(self, text: str, line: int, parent: ProfileName) -> ProfileName | None:
        name = self._profile(text, line)
        if name is None or name.gpu_instance == parent.gpu_instance:
            return name
        slices = min(name.compute_slices or name.slices, parent.slices)
        hint = f"Did you mean {slices}c.{parent.gpu_instance}?"
        message = f"compute instance {name.canonical} does not belong to a {parent.gpu_instance}"
        self._wrong(line, message, hint)
        return None

    def _profile(self, text: str, line: int) -> ProfileName | None:
        try:
            name = parse(text)
        except BadProfileName as error:
            hint = "" if text.strip().isdecimal() else nearest(text.strip().lower(), profile_names())
            self._wrong(line, str(error), hint if hint.startswith("Did") else "")
            return None
        if (name.compute_slices or name.slices) not in _COMPUTE_SIZES:
            sizes = ", ".join(str(size) for size in _COMPUTE_SIZES)
            self._wrong(line, f"{text} is on no GPU: NVML knows compute instances of {sizes} slices")
            return None
        return name

    def _check_media(self, instances: list[WantedInstance], node: Node) -> None:
        media = [instance.profile for instance in instances if "+me" in instance.profile]
        if len(media) > 1:
            message = f"{len(media)} instances ask for the media extensions ({', '.join(media)}); one can have them"
            hint = "Write +me once and take the other instances without it."
            self._wrong(node.items()["mig-devices"].key_line, message, hint)

    def _check_compute_room(self, computes: list[WantedCompute], parent: ProfileName, line: int) -> None:
        taken: set[int] = set()
        total = 0
        for compute in computes:
            name = parse(compute.profile)
            size = name.compute_slices or name.slices
            total += size
            if compute.start is None:
                continue
            span = set(range(compute.start, compute.start + size))
            if max(span) >= parent.slices:
                room = f"the {parent.slices} compute slices of {parent.gpu_instance}"
                message = f"{compute.profile} at start {compute.start} ends beyond {room}"
                self._wrong(line, message, f"Its last start is {parent.slices - size}.")
            elif span & taken:
                message = f"{compute.profile} at start {compute.start} overlaps the one before it"
                self._wrong(line, message, "Give it another start, or none.")
            taken |= span
        if total > parent.slices:
            message = f"the compute instances take {total} slices; {parent.gpu_instance} has {parent.slices}"
            self._wrong(line, message, "Take fewer or smaller ones.")

    def _check_overlap(self, first: Entry, line: int, second: Entry, other: int) -> None:
        filters = (set(first.device_filter or ()), set(second.device_filter or ()))
        if all(filters) and not filters[0] & filters[1]:
            return
        if "all" in (first.devices, second.devices):
            message = f"devices of this entry and of the one on line {line} name the same GPUs"
            hint = "Give each GPU one entry: list its index, or set device-filter apart."
            self._wrong(other, message, hint)
            return
        taken = set(first.devices)
        for device in second.devices:
            if device in taken:
                message = f"GPU {device} is named by the entry on line {line} too"
                self._wrong(other, message, "Name each GPU in one entry.")


def _selector(text: str) -> str:
    """A UUID or a PCI bus id in the one form that the driver writes: ``00000000:07:00.0``."""
    address = pci_address(text)
    return "GPU-" + text[4:].lower() if address is None else address.upper()


def _number(item: Item | None) -> int | None:
    return item.node.value if item is not None and isinstance(item.node.value, int) else None
