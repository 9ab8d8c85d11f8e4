"""The planner beside simpler ways, in one run: how many cards each uses, what is proven, how long it takes.

    python benchmarks/planner.py [--cases 2000] [--cards 20000] [--replicas 100000] [--seed 1]

1. Random small problems whose answer is found by trying everything: every count of cards must be equal.
2. A large fleet of five products: the planner's proven gap and CPU seconds (one core), first-fit-decreasing, and every
   card cut the balanced way that mig-parted calls `all-balanced`. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from migprov.capacity.model import WHOLE, FleetCard, Workload
from migprov.capacity.patterns import Pattern, is_legal, patterns
from migprov.capacity.planner import plan
from migprov.capacity.products import product
from migprov.capacity.program import acceptable
from tests.capacity.small_cases import best, case

PRODUCTS = ("A30-24GB", "A100-40GB", "A100-80GB", "H100-80GB-SXM", "H200-141GB")
GAP = 0.001
# The configuration `all-balanced` that comes with NVIDIA's mig-parted: instances of several sizes on every card.
BALANCED: Mapping[str, Pattern] = {
    "A30-24GB": ("1g.6gb", "1g.6gb", "2g.12gb"),
    "A100-40GB": ("1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"),
    "A100-80GB": ("1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"),
    "H100-80GB-SXM": ("1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"),
    "H200-141GB": ("1g.18gb", "1g.18gb", "2g.35gb", "3g.71gb"),
}


def fleet(count: int) -> list[FleetCard]:
    """Nodes of eight cards, the five products in turn."""
    return [FleetCard(f"gpu{n // 8 + 1}", n % 8, PRODUCTS[n // 8 % len(PRODUCTS)]) for n in range(count)]


def demand(replicas: int, seed: int) -> list[Workload]:
    """A hundred services: most of them small, few large."""
    rng = random.Random(seed)  # noqa: S311
    weights = [rng.randint(1, 20) for _ in range(100)]
    workloads = []
    for number, weight in enumerate(weights):
        peak = round(min(70_000, max(800, rng.lognormvariate(7.3, 0.8))))
        count = max(1, replicas * weight // sum(weights))
        workloads.append(Workload(f"service-{number}", peak, count, sms=rng.choice([*[None] * 18, 20, 40])))
    return workloads


def first_fit_decreasing(workloads: Sequence[Workload], cards: Sequence[FleetCard]) -> tuple[int, int]:
    """Largest first, each replica onto the first card, in the fleet's order, that still has room for its smallest
    instance; returns cards in use and replicas without a place.
    """
    data = {card.product: product(card.product) for card in cards}
    load: list[Pattern] = []
    missing = 0
    for workload in sorted(workloads, key=lambda each: -each.needed_mib):
        names = acceptable(workload, data)
        # A card of which a replica of this workload did not fit will not fit the next one either.
        start = 0
        for placed in range(workload.replicas):
            for number in range(start, len(cards)):
                if number == len(load):
                    load.append(())
                after = _first(cards[number].product, load[number], names.get(cards[number].product, frozenset()))
                if after is not None:
                    load[number] = after
                    start = number
                    break
            else:
                missing += workload.replicas - placed
                break
    return sum(bool(each) for each in load), missing


_cache: dict[tuple[str, Pattern, frozenset[str]], Pattern | None] = {}


def _first(key: str, load: Pattern, names: frozenset[str]) -> Pattern | None:
    """The card with one more instance, the smallest that will do; None where none fits."""
    asked = (key, load, names)
    if asked not in _cache:
        card = product(key).card
        profiles = sorted((p for p in card.profiles if p.name in names), key=lambda each: (each.size, each.slices))
        options = [tuple(sorted((*load, p.name))) for p in profiles]
        fits = (o for o in options if WHOLE not in load and is_legal(card, tuple(card.find(name) for name in o)))
        whole = (WHOLE,) if not load and WHOLE in names else None
        _cache[asked] = next(fits, whole)
    return _cache[asked]


def balanced(workloads: Sequence[Workload], cards: Sequence[FleetCard]) -> tuple[int, int]:
    """Every card cut the balanced way; each replica, largest first, into the smallest instance that is enough. Cards of
    which an instance is in use, and replicas without a place.
    """
    data = {card.product: product(card.product) for card in cards}
    free: dict[tuple[str, str], list[int]] = {}
    for number, card in reversed(list(enumerate(cards))):
        for name in BALANCED[card.product]:
            free.setdefault((card.product, name), []).append(number)
    used: set[int] = set()
    missing = 0
    for workload in sorted(workloads, key=lambda each: -each.needed_mib):
        names = acceptable(workload, data)
        slots = [(key, name) for key, each in names.items() for name in each if (key, name) in free]
        slots.sort(key=lambda slot: data[slot[0]].offer(slot[1]).memory_mib or 0)
        for _ in range(workload.replicas):
            slot = next((each for each in slots if free[each]), None)
            if slot is None:
                missing += 1
            else:
                used.add(free[slot].pop())
    return len(used), missing


def small(cases: int) -> int:
    """How many random small problems differ from the answer by trying everything."""
    wrong = 0
    for seed in range(cases):
        workloads, cards = case(seed)
        planned = plan(workloads, cards)
        found = (sum(each.replicas for each in planned.unplaced), int(planned.used.value))
        if found != best(workloads, cards):
            wrong += 1
            print(f"seed {seed}: {found}, and trying everything finds {best(workloads, cards)}", file=sys.stderr)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--cards", type=int, default=20_000)
    parser.add_argument("--replicas", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    console = Console(width=110)
    wrong = small(given.cases)
    console.print(f"{given.cases} small problems: {wrong} differ from trying everything")

    cards, workloads = fleet(given.cards), demand(given.replicas, given.seed)
    for key in PRODUCTS:  # read and enumerated once a process, whoever asks first
        patterns(key, frozenset(product(key).offers))
    begin = time.process_time()
    planned = plan(workloads, cards)
    seconds = time.process_time() - begin
    replicas = sum(each.replicas for each in workloads)
    missing = sum(each.replicas for each in planned.unplaced)
    table = Table(title=f"{replicas} replicas of {len(workloads)} workloads, {len(cards)} cards of five products")
    for name in ("way", "cards used", "not placed", "beside the planner", "CPU s"):
        table.add_column(name, justify="left" if name == "way" else "right")
    table.add_row("no plan can use fewer", f"{planned.used.bound:g}", "", "", "")
    table.add_row("migprov plan", f"{planned.used.value:g}", str(missing), "1.00", f"{seconds:.1f}")
    for name, way in (("first fit decreasing", first_fit_decreasing), ("all-balanced everywhere", balanced)):
        begin = time.process_time()
        used, left = way(workloads, cards)
        spent = time.process_time() - begin
        table.add_row(name, str(used), str(left), f"{used / planned.used.value:.2f}", f"{spent:.1f}")
    console.print(table)
    console.print(f"proven gap {planned.used.gap:.4%} (goal {GAP:.1%}); by product: {dict(_by_product(planned.cards))}")
    return int(wrong > 0 or planned.used.gap > GAP)


def _by_product(cards: Sequence[object]) -> Counter[str]:
    return Counter(each.card.product for each in cards if each.used)  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
