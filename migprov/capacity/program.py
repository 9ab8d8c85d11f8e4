"""The planner's integer program: how many cards of which kind are cut how, and who goes where.

Cards that are alike are one *kind*, workloads that are alike one *class*, so its size does not grow with the fleet.
Only where a workload limits its replicas on one node, every node is planned by itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .demand import accepts, fits_whole_without_headroom
from .integer import Program
from .model import WHOLE, Bound, FleetCard, Workload
from .patterns import Pattern, needed_names, patterns, room
from .products import ProductData, product
from .sharing import Group, groups
from .staying import NO_START, Runner, staying

_PRICES = (0.01, 1e6)

Cell = tuple[str, int, str, str]
"""Where slots are counted: pool, group, product, profile."""


@dataclass(frozen=True)
class Class:
    """Workloads (by number) that the program need not tell apart. `accepts`: product -> profiles."""

    members: tuple[int, ...]
    accepts: Mapping[str, frozenset[str]]
    groups: frozenset[int]
    replicas: int
    most_per_node: int | None


@dataclass(frozen=True)
class Kind:
    """Cards (by number) that the program need not tell apart. `running`: what runs there."""

    cards: tuple[int, ...]
    pool: str
    product: str
    price: float | None
    pattern: Pattern
    running: tuple[Runner, ...]


@dataclass
class Solution:
    """How many: `keep` cards of a kind that stay as they are and serve a group with what they offer; `change` cards of
    a kind that are cut anew; `cut` cards of these kinds that get a pattern for a group; `seats` replicas of a class in
    a cell; `stays` those of them that stay where they are.
    """

    keep: dict[tuple[int, int, Pattern], int] = field(default_factory=dict)
    change: dict[int, int] = field(default_factory=dict)
    cut: dict[tuple[tuple[int, ...], int, Pattern], int] = field(default_factory=dict)
    seats: dict[int, dict[Cell, int]] = field(default_factory=dict)
    stays: dict[tuple[int, Cell], int] = field(default_factory=dict)
    used: Bound = field(default_factory=lambda: Bound(0, 0))
    cost: Bound | None = None


@dataclass(frozen=True)
class Problem:
    """Workloads and cards, sorted into classes, groups and kinds.

    `products`: those of the cards that may be used. `class_of`: workload number -> class number. `by_node`: every node
    is planned by itself.
    """

    workloads: tuple[Workload, ...]
    cards: tuple[FleetCard, ...]
    products: Mapping[str, ProductData]
    classes: tuple[Class, ...]
    class_of: Mapping[int, int]
    groups: tuple[Group, ...]
    kinds: tuple[Kind, ...]
    by_node: bool

    def accepts(self, workload: int) -> Mapping[str, frozenset[str]]:
        """Product -> the profiles that are enough for a workload."""
        return self.classes[self.class_of[workload]].accepts

    def pool(self, card: int) -> str:
        """The pool of cards that one is planned in."""
        return _pool(self.cards[card], self.by_node)


def sort_out(
    workloads: Sequence[Workload], cards: Sequence[FleetCard], running: Mapping[int, Sequence[tuple[int, int]]]
) -> Problem:
    """The problem of these workloads and cards. `running`: card number -> (workload number, start, or NO_START).

    Cards that are held take no part, whatever runs there.
    """
    free = [number for number, card in enumerate(cards) if card.held is None]
    present = sorted({cards[number].product for number in free})
    data = {key: product(key) for key in present}
    shared = groups(workloads)
    by_node = any(each.most_per_node is not None for each in workloads)
    classes = _classes(workloads, data, shared)
    class_of = {member: number for number, each in enumerate(classes) for member in each.members}
    kinds: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number in free:
        card = cards[number]
        runners = tuple(
            sorted(
                Runner(class_of[workload], profile_at(card, start), start)
                for workload, start in running.get(number, ())
            )
        )
        key = (_pool(card, by_node), card.product, card.price, current_pattern(card), _spans(card, runners))
        kinds[(*key, runners)].append(number)
    return Problem(
        tuple(workloads),
        tuple(cards),
        data,
        classes,
        class_of,
        shared,
        tuple(
            Kind(tuple(numbers), key[0], key[1], key[2], key[3], key[5])  # type: ignore[arg-type]
            for key, numbers in kinds.items()
        ),
        by_node,
    )


def _pool(card: FleetCard, by_node: bool) -> str:
    return card.host if by_node else ""


def current_pattern(card: FleetCard) -> Pattern:
    """How a card is cut now."""
    return tuple(sorted(instance.profile for instance in card.instances)) if card.mig else (WHOLE,)


def _spans(card: FleetCard, runners: Sequence[Runner]) -> object:
    """Where the instances stand matters only where something runs that might stay."""
    return tuple(sorted((each.start, each.profile) for each in card.instances)) if runners else None


def profile_at(card: FleetCard, start: int) -> str:
    """The profile of the instance that starts there, `gpu` for NO_START on a card without MIG, empty for neither."""
    if start == NO_START:
        return "" if card.mig else WHOLE
    return next((each.profile for each in card.instances if each.start == start), "")


def _classes(
    workloads: Sequence[Workload], data: Mapping[str, ProductData], shared: Sequence[Group]
) -> tuple[Class, ...]:
    members: dict[tuple[object, ...], list[int]] = defaultdict(list)
    accepted: dict[int, Mapping[str, frozenset[str]]] = {}
    for number, workload in enumerate(workloads):
        accepted[number] = acceptable(workload, data)
        inside = frozenset(index for index, group in enumerate(shared) if number in group.members)
        alike = tuple(sorted((key, tuple(sorted(names))) for key, names in accepted[number].items()))
        own = number if workload.most_per_node is not None else None
        members[(alike, inside, own)].append(number)
    return tuple(
        Class(
            tuple(numbers),
            accepted[numbers[0]],
            key[1],  # type: ignore[arg-type]
            sum(workloads[number].replicas for number in numbers),
            workloads[numbers[0]].most_per_node,
        )
        for key, numbers in members.items()
    )


def acceptable(workload: Workload, data: Mapping[str, ProductData]) -> Mapping[str, frozenset[str]]:
    """Product -> the profiles that are enough. A whole card without all of the headroom only where nothing else is."""
    found = {key: names for key, each in data.items() if (names := accepts(workload, each))}
    if found:
        return found
    return {key: frozenset([WHOLE]) for key, each in data.items() if fits_whole_without_headroom(workload, each)}


def solve(problem: Problem, *, by_cost: bool, gap: float) -> Solution:
    """All placed, fewest cards (or least cost), fewest changed, fewest moved, most room left, fewest slices cut: in
    this order.
    """
    model = _Model(problem, gap)
    return model.solve(by_cost)


class _Model:
    """Columns and rows of one problem."""

    def __init__(self, problem: Problem, gap: float) -> None:
        self.problem = problem
        self.program = Program(gap)
        self.keep: dict[tuple[int, int, Pattern], int] = {}
        self.change: dict[int, int] = {}
        self.cut: dict[tuple[tuple[int, ...], int, Pattern], int] = {}
        self.seats: dict[tuple[int, Cell], int] = {}
        self.unplaced: dict[int, int] = {}
        self.stays: dict[tuple[int, Cell], int] = {}
        self.supply: dict[Cell, dict[int, float]] = defaultdict(dict)
        self.credit: dict[tuple[int, Cell], dict[int, float]] = defaultdict(dict)
        self._cards()
        self._workloads()
        self._running()

    def _cards(self) -> None:
        pooled: dict[tuple[str, str, float | None], list[int]] = defaultdict(list)
        for number, kind in enumerate(self.problem.kinds):
            self.change[number] = self.program.column(len(kind.cards))
            terms = {self.change[number]: 1.0}
            for index, group in enumerate(self.problem.groups):
                for offered in _offered(kind.pattern, group):
                    column = self.keep[number, index, offered] = self.program.column(len(kind.cards))
                    terms[column] = 1.0
                    self._offer(column, kind, index, offered)
                    there = [each for each in kind.running if self._in_group(each, group)]
                    if group.alone:
                        there = [each for each in there if each.profile in offered][:1]
                    self._credit(column, kind, index, there)
            self.program.row(0, len(kind.cards), terms)
            if kind.running:
                self._ways((number,))
            else:
                pooled[kind.pool, kind.product, kind.price].append(number)
        for numbers in pooled.values():
            self._ways(tuple(numbers))

    def _ways(self, numbers: tuple[int, ...]) -> None:
        """The ways to cut the cards of these kinds anew."""
        first = self.problem.kinds[numbers[0]]
        terms = {self.change[number]: -1.0 for number in numbers}
        for index, group in enumerate(self.problem.groups):
            for pattern in self._patterns(first, index, group):
                column = self.cut[numbers, index, pattern] = self.program.column()
                terms[column] = 1.0
                self._offer(column, first, index, pattern)
                if first.running:
                    there = tuple(each for each in first.running if self._in_group(each, group))
                    self._credit(column, first, index, staying(first.product, there, pattern))
        self.program.row(0, 0, terms)

    def _patterns(self, kind: Kind, index: int, group: Group) -> Iterable[Pattern]:
        wanted = [each.accepts.get(kind.product, frozenset()) for each in self.problem.classes if index in each.groups]
        names = needed_names(kind.product, [names for names in wanted if names])
        names |= {each.profile for each in kind.running if self._in_group(each, group) and each.profile}
        found = patterns(kind.product, names)
        return [pattern for pattern in found if len(pattern) == 1] if group.alone else found

    def _in_group(self, runner: Runner, group: Group) -> bool:
        return bool(group.members & set(self.problem.classes[runner.number].members))

    def _offer(self, column: int, kind: Kind, group: int, pattern: Pattern) -> None:
        for name, count in Counter(pattern).items():
            self.supply[kind.pool, group, kind.product, name][column] = float(count)

    def _credit(self, column: int, kind: Kind, group: int, runners: Iterable[Runner]) -> None:
        """A card of this kind lets these stay where they are."""
        for runner in runners:
            if runner.profile in self.problem.classes[runner.number].accepts.get(kind.product, ()):
                terms = self.credit[runner.number, (kind.pool, group, kind.product, runner.profile)]
                terms[column] = terms.get(column, 0.0) + 1.0

    def _workloads(self) -> None:
        taken: dict[Cell, dict[int, float]] = defaultdict(dict)
        for number, each in enumerate(self.problem.classes):
            self.unplaced[number] = self.program.column(each.replicas)
            terms = {self.unplaced[number]: 1.0}
            of_pool: dict[str, dict[int, float]] = defaultdict(dict)
            for cell in self.supply:
                pool, group, key, name = cell
                if group in each.groups and name in each.accepts.get(key, ()):
                    column = self.seats[number, cell] = self.program.column(each.replicas)
                    terms[column] = taken[cell][column] = of_pool[pool][column] = 1.0
            self.program.row(each.replicas, each.replicas, terms)
            if each.most_per_node is not None:
                for columns in of_pool.values():
                    self.program.row(0, each.most_per_node, columns)
        for cell, supply in self.supply.items():
            if cell in taken:
                self.program.row(0, float("inf"), {**supply, **dict.fromkeys(taken[cell], -1.0)})

    def _running(self) -> None:
        """Who stays sits in the seat he has."""
        for (number, cell), terms in self.credit.items():
            column = self.stays[number, cell] = self.program.column(self.problem.classes[number].replicas)
            self.program.row(0, float("inf"), {**terms, column: -1.0})
            self.program.row(0, float("inf"), {self.seats[number, cell]: 1.0, column: -1.0})

    def _slices(self) -> dict[int, float]:
        """Memory slices that are cut into instances, so that nobody gets more than is enough for nothing."""
        kinds = self.problem.kinds
        return {
            column: _taken(kinds[numbers[0]].product, pattern) for (numbers, _, pattern), column in self.cut.items()
        }

    def solve(self, by_cost: bool) -> Solution:
        kinds = self.problem.kinds
        used = {**dict.fromkeys(self.keep.values(), 1.0), **dict.fromkeys(self.cut.values(), 1.0)}
        unit = _unit(kind.price or 0.0 for kind in kinds)
        cost = {column: (kinds[number].price or 0.0) / unit for (number, _, _), column in self.keep.items()}
        cost |= {column: (kinds[numbers[0]].price or 0.0) / unit for (numbers, _, _), column in self.cut.items()}
        kept = {
            column: float(room(kinds[number].product, kinds[number].pattern))
            for (number, _, _), column in self.keep.items()
        }
        cut = {
            column: float(room(kinds[numbers[0]].product, pattern))
            for (numbers, _, pattern), column in self.cut.items()
        }
        first = [cost, used] if by_cost else [used, cost] if any(cost.values()) else [used]
        values, bounds = self.program.solve(
            [
                dict.fromkeys(self.unplaced.values(), 1.0),
                *first,
                dict.fromkeys(self.change.values(), 1.0),
                dict.fromkeys(self.stays.values(), -1.0),
                {column: -slices for column, slices in {**kept, **cut}.items() if slices},
                self._slices(),
            ]
        )
        found = Solution(used=bounds[2] if by_cost else bounds[1])
        found.cost = bounds[1] if by_cost else bounds[2] if len(first) == 2 else None
        if found.cost is not None:
            found.cost = Bound(found.cost.value * unit, found.cost.bound * unit)
        found.keep = {key: values[column] for key, column in self.keep.items() if values[column]}
        found.change = {key: values[column] for key, column in self.change.items() if values[column]}
        found.cut = {key: values[column] for key, column in self.cut.items() if values[column]}
        found.stays = {key: values[column] for key, column in self.stays.items() if values[column]}
        for (number, cell), column in self.seats.items():
            if values[column]:
                found.seats.setdefault(number, {})[cell] = values[column]
        return found


def _unit(prices: Iterable[float]) -> float:
    """What prices are counted in: 1, but where they are so small or large that the solver's tolerances would matter."""
    largest = max(prices, default=0.0)
    return 1.0 if not largest or _PRICES[0] <= largest <= _PRICES[1] else largest


def _taken(key: str, pattern: Pattern) -> float:
    """Memory slices in instances; the whole card's, where it is one."""
    data = product(key)
    return float(sum(data.offer(name).memory_slices for name in pattern))


def _offered(pattern: Pattern, group: Group) -> Iterable[Pattern]:
    """What a card that stays as it is offers: all its instances, or any one of them to who wants to be alone."""
    if not pattern:
        return ()
    return [(name,) for name in sorted(set(pattern))] if group.alone else [pattern]
