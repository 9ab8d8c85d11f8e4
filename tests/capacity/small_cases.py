"""Random small planning problems, and their answer found by trying everything. Shared with benchmarks/planner.py."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from migprov.capacity.model import FleetCard, Workload
from migprov.capacity.patterns import patterns
from migprov.capacity.products import ProductData, product
from migprov.capacity.program import acceptable

PRODUCTS = ("A100-80GB", "A100-40GB", "H100-80GB-SXM", "A30-24GB")
PEAKS = (2000, 4000, 7000, 9000, 12000, 16000, 25000, 33000, 60000)


def case(seed: int) -> tuple[list[Workload], list[FleetCard]]:
    """Up to 7 replicas of up to 7 workloads, and up to 4 cards of up to 2 products on 2 nodes."""
    rng = random.Random(seed)
    products = rng.sample(PRODUCTS, rng.randint(1, 2))
    cards = [FleetCard(f"n{number % 2}", number, rng.choice(products)) for number in range(rng.randint(1, 4))]
    workloads: list[Workload] = []
    named: list[int] = []
    left = rng.randint(1, 7)
    while left:
        replicas = min(left, rng.randint(1, 3))
        left -= replicas
        sharing = rng.choices(["anybody", "nobody", "named"], [6, 1, 1])[0]
        if sharing == "named":
            named.append(len(workloads))
        workloads.append(
            Workload(
                f"w{len(workloads)}",
                rng.choice(PEAKS),
                replicas,
                headroom=rng.choice([0.0, 0.2]),
                sms=rng.choice([None, None, 30, 50]),
                shares_card=sharing != "nobody",
                most_per_node=rng.choice([None, None, None, None, 1, 2]),
            )
        )
    for number in named:
        others = [each.name for each in workloads if each.name != workloads[number].name]
        chosen = rng.sample(others, min(len(others), rng.randint(1, 2)))
        workloads[number] = replace(workloads[number], shares_card=tuple(chosen))
    return workloads, cards


def best(workloads: Sequence[Workload], cards: Sequence[FleetCard]) -> tuple[int, int]:
    """The fewest replicas without a place, and the fewest cards in use then."""
    return _Search(workloads, cards).best()


class _Search:
    """Every replica on every card in turn; cards that are alike are tried once."""

    def __init__(self, workloads: Sequence[Workload], cards: Sequence[FleetCard]) -> None:
        data: Mapping[str, ProductData] = {card.product: product(card.product) for card in cards}
        self.workloads, self.cards = workloads, cards
        self.accepted = [acceptable(each, data) for each in workloads]
        self.replicas = [number for number, each in enumerate(workloads) for _ in range(each.replicas)]
        self.load: list[tuple[int, ...]] = [() for _ in cards]
        self.found = (len(self.replicas) + 1, 0)
        self.fits = cache(self._fits)

    def best(self) -> tuple[int, int]:
        self._go(0, 0)
        return self.found

    def _go(self, depth: int, unplaced: int) -> None:
        used = sum(bool(load) for load in self.load)
        if (unplaced, used) >= self.found:
            return
        if depth == len(self.replicas):
            self.found = (unplaced, used)
            return
        workload = self.replicas[depth]
        tried = set()
        for number, card in enumerate(self.cards):
            most = self.workloads[workload].most_per_node
            alike = (card.product, self.load[number], card.host)
            if alike in tried or (most is not None and self._on(card.host, workload) >= most):
                continue
            tried.add(alike)
            before = self.load[number]
            together = tuple(sorted((*before, workload)))
            if self.fits(card.product, together):
                self.load[number] = together
                self._go(depth + 1, unplaced)
                self.load[number] = before
        self._go(depth + 1, unplaced + 1)

    def _on(self, host: str, workload: int) -> int:
        return sum(load.count(workload) for load, card in zip(self.load, self.cards, strict=True) if card.host == host)

    def _fits(self, key: str, together: tuple[int, ...]) -> bool:
        """Whether one card can hold them: they bear each other, and some legal cutting has an instance for each."""
        if len(together) > 1 and any(self.workloads[number].shares_card is False for number in together):
            return False
        for one, other in itertools.permutations(set(together), 2):
            shares = self.workloads[one].shares_card
            if isinstance(shares, tuple) and self.workloads[other].name not in shares:
                return False
        wanted = [sorted(self.accepted[number].get(key, ())) for number in together]
        legal = set(patterns(key, frozenset(name for names in wanted for name in names)))
        return any(tuple(sorted(names)) in legal for names in itertools.product(*wanted))
