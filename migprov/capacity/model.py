"""What the planner plans with: workloads, and the cards of a fleet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

WHOLE = "gpu"
"""The name of a whole card with MIG off, beside the names of profiles."""

HEADROOM = 0.20
"""What a workload gets above its peak memory unless it says otherwise."""

Latency = Literal["interactive", "batch"]
Isolation = Literal["required", "preferred", "none"]


@dataclass(frozen=True)
class Place:
    """Where a replica runs now: a card (UUID or index) of a host, and the instance's first memory slice.

    `start` is None on a card without MIG.
    """

    host: str
    gpu: str | int
    start: int | None = None


@dataclass(frozen=True)
class Workload:
    """What runs in `replicas` copies, each with an instance or a card of its own.

    `memory_mib` is the peak (MiB); `headroom` a share of it (0.2 is 20 %). `sms`, `share` (of the card's SMs, 0 to
    1), `bandwidth_gbs` (GB/s) and `engines` are the least that a replica needs. `shares_card`: True with anybody, False
    with nobody (not even another replica), or the names of the workloads it may share a card with. `most_per_node`:
    replicas on one node, None for no limit. `runs_on`: where the replicas run now, in order.
    """

    name: str
    memory_mib: int
    replicas: int = 1
    headroom: float = HEADROOM
    sms: int | None = None
    share: float | None = None
    bandwidth_gbs: float | None = None
    engines: frozenset[str] = frozenset()
    latency: Latency | None = None
    isolation: Isolation = "preferred"
    shares_card: bool | tuple[str, ...] = True
    most_per_node: int | None = None
    products: tuple[str, ...] = ()
    runs_on: tuple[Place, ...] = ()

    @property
    def needed_mib(self) -> int:
        """Peak memory and headroom, MiB, rounded up."""
        return math.ceil(round(self.memory_mib * (1 + self.headroom), 6))


@dataclass(frozen=True)
class Instance:
    """A GPU instance of a card: its profile and its first memory slice."""

    profile: str
    start: int


@dataclass(frozen=True)
class FleetCard:
    """One card of the fleet. `product` is a key of the geometry table; `price` is money an hour, None when not known.

    `held`: why the planner must leave it alone (kept in reserve, does not answer), None when it may use it.
    """

    host: str
    index: int
    product: str
    mig: bool = False
    instances: tuple[Instance, ...] = ()
    uuid: str = ""
    price: float | None = None
    held: str | None = None

    @property
    def name(self) -> str:
        """Host and index, such as `gpu1/0`."""
        return f"{self.host}/{self.index}"


@dataclass(frozen=True)
class Assignment:
    """Where one replica goes. `profile` is `gpu` for a whole card, whose `start` is None. `moved`: not where it runs
    now; False also for a replica that does not run yet.
    """

    workload: str
    replica: int
    host: str
    index: int
    profile: str
    start: int | None
    moved: bool = False


@dataclass(frozen=True)
class CardPlan:
    """What becomes of one card. `instances` have their starts; `after` equals `before` where nothing changes."""

    card: FleetCard
    mig: bool
    instances: tuple[Instance, ...]
    used: bool

    @property
    def changes(self) -> bool:
        """Whether the card is cut anew or its MIG mode changes."""
        return (self.mig, set(self.instances)) != (self.card.mig, set(self.card.instances))


@dataclass(frozen=True)
class Unplaced:
    """Replicas that have no place, and why."""

    workload: str
    replicas: int
    reason: str


@dataclass(frozen=True)
class Bound:
    """How good an answer is proven to be: its value, what no plan can go below, and their relative distance."""

    value: float
    bound: float

    @property
    def gap(self) -> float:
        """0 where the optimum is proven."""
        same = self.value <= self.bound + 1e-6 * min(abs(self.value), 1.0)
        return 0.0 if same else (self.value - self.bound) / self.value


@dataclass(frozen=True)
class Plan:
    """The planner's answer. `cards` are in the fleet's order; `cost` is None unless every card has a price."""

    cards: tuple[CardPlan, ...]
    assignments: tuple[Assignment, ...]
    unplaced: tuple[Unplaced, ...]
    used: Bound
    cost: Bound | None = None
    notes: tuple[str, ...] = ()

    @property
    def freed(self) -> tuple[FleetCard, ...]:
        """Cards that nobody needs any more and the planner may hand out."""
        return tuple(each.card for each in self.cards if not each.used and each.card.held is None)

    @property
    def changed(self) -> tuple[CardPlan, ...]:
        """The cards whose cutting or mode changes."""
        return tuple(each for each in self.cards if each.changes)

    @property
    def moved(self) -> int:
        """Replicas that run now and have to go elsewhere."""
        return sum(each.moved for each in self.assignments)
