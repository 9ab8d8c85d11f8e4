"""The adviser: whole card, MIG, MPS or time-slicing for a workload, and why. Pure.

What is advised, the sentences and their sources stand in `advice.yml`; here stands when each rule holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources as package_files
from typing import Any, Literal, NamedTuple

import yaml

from ..fleet.kubernetes.resources import resource
from ..mig import geometry
from .demand import accepts, fits_whole_without_headroom, lacks
from .model import WHOLE, Workload
from .products import Offer, ProductData
from .units import gib, percent_text

Strategy = Literal["whole", "mig", "mps", "time-slicing", "none"]
Scheduler = Literal["kubernetes", "slurm"]
MOST_CLIENTS = 48
"""Of one MPS server (NVIDIA Multi-Process Service; MIG User Guide)."""


@dataclass(frozen=True)
class Context:
    """What is known beside workload and product. `scheduler`: what hands out the GPUs, None where nothing does.

    `mig_in_use`: whether the nodes run MIG already. `busy`: by workload, the 95th percentile of the share (0 to 1) of
    a whole card's SMs that a replica keeps busy, where it was measured.
    """

    scheduler: Scheduler | None = None
    mig_in_use: bool = False
    busy: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Advice:
    """What suits a workload on a product (a key of the table, None for one without MIG).

    `profile` is the instance for MIG, or the one that is shared; None for a whole card. `clients`: so many replicas
    share one card or instance by MPS or time-slicing. `rules`: the one that decided, then those that added a sentence.
    """

    workload: str
    product: str | None
    strategy: Strategy
    profile: str | None
    clients: int | None
    reason: str
    also: tuple[str, ...]
    rules: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return {
            "workload": self.workload,
            "product": self.product,
            "strategy": self.strategy,
            "profile": self.profile,
            "clients": self.clients,
            "reason": self.reason,
            "also": list(self.also),
            "rules": list(self.rules),
        }


class Source(NamedTuple):
    """A document, or what the user said (`url` empty)."""

    title: str
    url: str


class Rule(NamedTuple):
    """A row of the table; `then` is None for those that only add a sentence."""

    name: str
    then: Strategy | None
    because: str
    sources: tuple[str, ...]


@cache
def table() -> tuple[tuple[Rule, ...], tuple[Rule, ...], Mapping[str, Source]]:
    """The rules that decide, those that add, and the sources by name."""
    read = yaml.safe_load(package_files.files(__package__ or "").joinpath("advice.yml").read_text("utf-8"))

    def rules(key: str) -> tuple[Rule, ...]:
        return tuple(Rule(r["rule"], r.get("then"), r["because"], tuple(r["sources"])) for r in read[key])

    sources = {name: Source(row["title"], row.get("url", "")) for name, row in read["sources"].items()}
    return rules("rules"), rules("also"), sources


def advise(workload: Workload, product: ProductData | None, context: Context | None = None) -> Advice:
    """What suits a workload on a product; None: on one without MIG."""
    facts = _Facts(workload, product, context or Context())
    deciding, adding, _sources = table()
    rule = next(rule for rule in deciding if DECIDING[rule.name](facts))
    strategy: Strategy = rule.then or "none"
    shares = strategy in ("mps", "time-slicing")
    of_instance = strategy in ("mig", "time-slicing") or rule.name == "clients-of-an-instance"
    profile = facts.smallest.name if of_instance and facts.smallest is not None else None
    advice = Advice(
        workload.name,
        product.key if product else None,
        strategy,
        profile,
        facts.clients(profile, mps=strategy == "mps") if shares and product else None,
        "",
        (),
        (rule.name,),
    )
    more = [each for each in adding if ADDING[each.name](facts, advice)]
    words = facts.words(advice)
    return Advice(
        advice.workload,
        advice.product,
        strategy,
        profile,
        advice.clients,
        f"{workload.name}: {rule.because.format_map(words)}.",
        tuple(each.because.format_map(words) for each in more),
        (rule.name, *(each.name for each in more)),
    )


@dataclass(frozen=True)
class _Facts:
    """What the rules ask about."""

    workload: Workload
    product: ProductData | None
    context: Context

    @property
    def busy(self) -> float | None:
        return self.context.busy.get(self.workload.name)

    @cached_property
    def accepted(self) -> frozenset[str]:
        return frozenset() if self.product is None else accepts(self.workload, self.product)

    @cached_property
    def parts(self) -> list[Offer]:
        """The instances that are enough and leave something of the card, the smallest first."""
        if self.product is None:
            return []
        whole = self.product.whole.memory_slices
        found = [self.product.offers[name] for name in self.accepted - {WHOLE}]
        smaller = [offer for offer in found if offer.memory_slices < whole]
        # Media extensions are for those who ask for engines.
        plain = [offer for offer in smaller if "+" not in offer.name and "-me" not in offer.name] or smaller
        return sorted(plain, key=lambda offer: (offer.memory_slices, offer.sms or 0, offer.name))

    @cached_property
    def smallest(self) -> Offer | None:
        """The smallest part that is enough, with SMs for what was measured."""
        fit = (offer for offer in self.parts if self.busy is None or (offer.sm_share or 0) >= self.busy)
        return next(fit, None)

    @cached_property
    def floors(self) -> list[str]:
        own = self.workload
        stated = {
            "SMs": own.sms is not None or own.share is not None,
            "memory bandwidth": own.bandwidth_gbs is not None,
            "media engines": bool(own.engines),
        }
        return [name for name, is_stated in stated.items() if is_stated]

    @property
    def unguarded(self) -> bool:
        """Whether the workload may be on a GPU with others that nothing keeps apart."""
        return self.workload.isolation == "none" and self.workload.latency != "interactive" and not self.floors

    @property
    def guard(self) -> str:
        """What keeps it from being unguarded, in words."""
        if self.workload.isolation != "none":
            return f"isolation is {self.workload.isolation}"
        if self.workload.latency == "interactive":
            return "it is interactive"
        return f"it states a least amount of {' and '.join(self.floors)}"

    @property
    def with_itself(self) -> bool:
        """Whether there are replicas that may share with one another."""
        shares = self.workload.shares_card
        return self.workload.replicas > 1 and (shares is True or (shares is not False and self.workload.name in shares))

    @property
    def half_of_smallest(self) -> bool:
        """Whether the smallest part that is enough would do for two."""
        return self.smallest is not None and self.clients(self.smallest.name) > 1

    @property
    def instances(self) -> int:
        """How many of the smallest part a card holds."""
        if self.product is None or self.smallest is None:
            return 0
        return self.product.card.find(self.smallest.name).max_instances

    def clients(self, profile: str | None, *, mps: bool = True) -> int:
        """How many replicas share a card (None) or an instance, by memory, by SMs as measured, and by MPS's limit."""
        if self.product is None:
            return 0
        offer = self.product.offer(profile or WHOLE)
        most = int((offer.memory_mib or 0) // max(self.workload.needed_mib, 1))
        if self.busy:
            most = min(most, int((offer.sm_share or 0) / self.busy + 1e-9))
        if mps:
            most = min(most, MOST_CLIENTS if profile is None else int(MOST_CLIENTS * (offer.sm_share or 0)))
        return max(min(most, self.workload.replicas) if self.with_itself else most, 0)

    @property
    def more_by_mps(self) -> bool:
        """Whether one card takes more replicas by MPS than it has instances for, without losing much by it."""
        return self.unguarded and self.with_itself and self.clients(None) > max(self.instances, 1)

    @property
    def plugin_refuses_mps(self) -> bool:
        return self.context.scheduler == "kubernetes" and self.context.mig_in_use

    def words(self, advice: Advice) -> dict[str, str]:
        """What the sentences' braces are filled with."""
        own, product = self.workload, self.product
        largest = max(self.parts, key=lambda offer: offer.sm_share or 0, default=None)
        profile = self.smallest
        return {
            "product": product.key if product else "the product",
            "lacks": (_lacks(own, product) if product else "") or "",
            "guard": self.guard,
            "replicas": str(own.replicas),
            "peak": gib(own.memory_mib),
            "need": gib(own.needed_mib),
            "busy": percent_text(round(self.busy or 0, 3)),
            "largest": largest.name if largest else "",
            "largest_share": percent_text(round((largest.sm_share if largest else 0) or 0, 3)),
            "profile": profile.name if profile else "",
            "profile_memory": gib(profile.memory_mib) if profile and profile.memory_mib else "",
            "floors": " and ".join(self.floors),
            "clients": str(advice.clients or 0),
            "instances": str(self.instances),
            "resource": resource(advice.profile) if advice.profile else "",
        }


def _lacks(workload: Workload, product: ProductData) -> str | None:
    if workload.products and product.key not in workload.products:
        return "it is not one of its products"
    return lacks(workload, product.whole)


def _mode_needs_reset(facts: _Facts) -> bool:
    key = facts.product.key if facts.product else None
    return any(each.key == key and each.mode_needs_reset for each in geometry.products())


DECIDING: Mapping[str, Callable[[_Facts], bool]] = {
    "without-headroom": lambda f: (
        f.product is not None and not f.accepted and fits_whole_without_headroom(f.workload, f.product)
    ),
    "too-large": lambda f: f.product is not None and not f.accepted,
    "alone": lambda f: f.workload.shares_card is False,
    "no-mig-kept-apart": lambda f: f.product is None and not f.unguarded,
    "no-mig-clients": lambda f: f.product is None and f.with_itself,
    "no-mig-alone": lambda f: f.product is None,
    "fills-the-card": lambda f: not f.parts,
    "busy": lambda f: f.smallest is None,
    "isolation": lambda f: f.workload.isolation == "required",
    "interactive": lambda f: f.workload.latency == "interactive",
    "floors": lambda f: bool(f.floors),
    "many-clients": lambda f: f.more_by_mps and not f.plugin_refuses_mps,
    "clients-of-an-instance": lambda f: (
        f.unguarded and f.with_itself and f.half_of_smallest and f.context.scheduler != "kubernetes"
    ),
    "small": lambda f: f.unguarded and f.workload.latency == "batch" and f.half_of_smallest,
    "part-of-a-card": lambda f: True,
}

ADDING: Mapping[str, Callable[[_Facts, Advice], bool]] = {
    "resource-name": lambda f, a: a.profile is not None and f.context.scheduler == "kubernetes",
    "no-plugin-mps-with-mig": lambda f, a: a.strategy != "mps" and f.more_by_mps and f.plugin_refuses_mps,
    "plugin-mps": lambda f, a: a.strategy == "mps" and f.context.scheduler == "kubernetes",
    "mps-fault": lambda f, a: a.strategy == "mps",
    "mps-clients-of-an-instance": lambda f, a: a.strategy == "mps" and a.profile is not None,
    "no-memory-limit": lambda f, a: a.strategy == "time-slicing",
    "not-measured": lambda f, a: a.strategy in ("mps", "time-slicing") and f.busy is None,
    "static-in-slurm": lambda f, a: a.profile is not None and f.context.scheduler == "slurm",
    "mode-needs-reset": lambda f, a: a.profile is not None and not f.context.mig_in_use and _mode_needs_reset(f),
    "no-nccl": lambda f, a: a.strategy == "mig" and f.workload.latency != "interactive",
}
