"""The changes that are disturbed: from a layout to another one, on three products."""

from __future__ import annotations

from typing import Any, NamedTuple

PRODUCTS = ("A100-80GB", "H100-80GB-SXM", "A30-24GB")

Instances = list[Any] | None
"""What an entry says of a GPU; None: MIG off."""


class Transition(NamedTuple):
    """GPU 0 of `product` goes from `begin` to `end`.

    `busy`: a profile whose first instance work runs on. `pending`: it begins with a change of mode left pending.
    """

    name: str
    product: str
    begin: Instances
    end: Instances
    busy: str | None = None
    pending: bool = False

    @property
    def label(self) -> str:
        return f"{self.product}: {self.name}"


def standing(product: str) -> list[str]:
    """What the other GPU of the node has all the time."""
    return ["2g.12gb", "1g.6gb"] if product == "A30-24GB" else ["3g.40gb", "1g.10gb"]


def transitions(product: str) -> list[Transition]:
    """The changes of one product."""
    if product == "A30-24GB":
        half, small, slots = "2g.12gb", "1g.6gb", 4
        inner: list[str] = [f"1c.{half}", f"1c.{half}"]
        mixed: tuple[Instances, Instances] = ([half, small, small], [half, half])
    else:
        half, small, slots = "3g.40gb", "1g.10gb", 7
        inner = [f"1c.{half}", f"2c.{half}"]
        mixed = ([half, small, small, small], [half, "2g.20gb", small])
    pair: Instances = [half, half]
    cut: Instances = [{"profile": half, "compute_instances": inner}, half]
    # only Ampere can leave a change of its mode pending, to be finished by a reset
    ampere = product in ("A100-80GB", "A30-24GB")
    return [
        *([Transition("pending to pair", product, None, pair, pending=True)] if ampere else []),
        Transition("whole card to pair", product, None, pair),
        Transition("pair to seven", product, pair, [small] * slots),
        Transition("seven to off", product, [small] * slots, None),
        Transition("whole instance to parts of it", product, pair, cut),
        Transition("parts to others", product, cut, [{"profile": half, "compute_instances": inner[:1]}, half]),
        Transition("mixed, one stays with its work", product, *mixed, busy=half),
    ]


def every_transition() -> list[Transition]:
    """All of them, of all products."""
    return [each for product in PRODUCTS for each in transitions(product)]


def entries(instances: Instances) -> list[dict[str, Any]]:
    """The request's entries for GPU 0."""
    return [{"devices": [0], "mig_enabled": instances is not None, "instances": instances or []}]
