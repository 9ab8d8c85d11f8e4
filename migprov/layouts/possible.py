"""On which products of the geometry table a layout can be made, without a node: asked of the engine that makes it.

The node is thought up: idle, all its GPUs of one product, and those that the layout names among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from migprov.errors import BadRequest
from migprov.mig import geometry
from migprov.mig.errors import MigError, UnknownGpu, UnknownProfile
from migprov.mig.geometry import Product
from migprov.mig.names import parse
from migprov.mig.plan import plan_gpu
from migprov.mig.profiles import Card
from migprov.mig.select import wanted_gpus
from migprov.mig.state import Gpu
from migprov.mig.wanted import WantedGpu

from .errors import Problem
from .file import Layout
from .words import join, nearest, shown

_VENDOR = "10DE"
_BEYOND_INDICES = 1024


@dataclass(frozen=True)
class Verdict:
    """Whether a layout can be made on a product; `problems` says why not, entry by entry.

    `device_ids` are the boards of the product that the layout's entries are for, by their device filters.
    """

    layout: str
    product: str
    device_ids: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def possible(self) -> bool:
        """Whether nothing stands against it."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Exactly the keys that `migprov layouts --json` prints."""
        problems = [
            {"file": each.path, "line": each.line, "message": each.message, "next": each.hint or None}
            for each in self.problems
        ]
        return {
            "layout": self.layout,
            "product": self.product,
            "possible": self.possible,
            "device_ids": list(self.device_ids),
            "problems": problems,
        }


def product_names() -> tuple[str, ...]:
    """The keys of the products that the table knows."""
    return tuple(each.key for each in geometry.products())


def product(name: str) -> Product:
    """The product of that key, or that the driver calls so, in any case.

    Raises:
        BadRequest: the table has none.
    """
    wanted = name.strip().casefold()
    for each in geometry.products():
        if wanted in {known.casefold() for known in (each.key, *each.names)}:
            return each
    near = [key for key in product_names() if wanted and wanted in key.casefold()]
    hint = f"name it by {join(near or product_names(), most=20)}"
    raise BadRequest(f"there is no product {shown(name)} in the table of GPUs", next=hint)


def possible(layout: Layout, on: Product) -> Verdict:
    """Whether a node whose GPUs are all of that product can have the layout."""
    meant: dict[str, list[WantedGpu]] = {}
    for device_id in (f"{short}{_VENDOR}" for short in on.device_ids):
        try:
            wanted = wanted_gpus(_gpus(layout, on, device_id), layout.entries)
        except UnknownGpu:  # all that are named exist, so it is the filters
            continue
        meant[device_id] = list(wanted.values())
    asked = dict.fromkeys(each for wanted in meant.values() for each in wanted)
    found = [problem for each in asked if (problem := _problem(each, on)) is not None]
    return Verdict(layout.name, on.key, tuple(meant), tuple(found) if meant else (_not_meant(layout, on),))


def _gpus(layout: Layout, on: Product, device_id: str) -> list[Gpu]:
    """One GPU for each that the layout names, and one that it does not."""
    lists = (entry.devices for entry in layout.entries if not isinstance(entry.devices, str))
    named = dict.fromkeys(device for devices in lists for device in devices)
    return [
        Gpu(
            device if isinstance(device, int) else _BEYOND_INDICES + number,
            uuid=device if isinstance(device, str) else "",  # or its bus id: the name that the layout has for it
            name=on.names[0],
            device_id=device_id,
            mig_capable=True,
        )
        for number, device in enumerate((*named, ""))
    ]


def _problem(wanted: WantedGpu, on: Product) -> Problem | None:
    try:
        plan_gpu(Gpu(0, name=on.names[0], mig_capable=True), wanted, on.card)
    except UnknownProfile:
        missing = next(each.profile for each in wanted.instances or () if not _has(on.card, each.profile))
        return Problem(*_place(wanted.source), f"{on.key} has no profile {missing}", _nearest(missing, on.card))
    except MigError as error:
        return Problem(*_place(wanted.source), error.message, f"{error.next[:1].upper()}{error.next[1:]}.")
    return None


def _not_meant(layout: Layout, on: Product) -> Problem:
    filters = dict.fromkeys(each for entry in layout.entries for each in entry.device_filter or ())
    message = f"no entry of layout {shown(layout.name)} is for {on.key}: their device-filter names {join(filters)}"
    boards = ", ".join(f"{short}{_VENDOR}" for short in on.device_ids)
    return Problem(*_place(layout.entries[0].source), message, f"It is {boards}.")


def _has(card: Card, profile: str) -> bool:
    return any(profile in (each.name, *each.aliases) for each in card.profiles)


def _nearest(profile: str, card: Card) -> str:
    """The profile with as many slices first: half of a small card stands for half of a large one."""
    name = parse(profile)
    alike = [each for each in card.profiles if (each.slices, each.suffix) == (name.slices, name.suffix)]
    if alike:
        return f"Did you mean {min(alike, key=lambda each: abs(parse(each.name).gb - name.gb)).name}?"
    return nearest(profile, [each.name for each in card.profiles])


def _place(source: str) -> tuple[str, int]:
    file, _, line = source.rpartition(":")
    return file, int(line)
