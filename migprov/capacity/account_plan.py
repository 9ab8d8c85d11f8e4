"""The accounting of a plan: cards as they are and as they will be, with the workloads that hold them. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .account import HOURS, Account, Card, Holder, Pair, part
from .model import WHOLE, FleetCard, Instance, Place, Plan, Workload
from .products import product

_Spot = tuple[str, int, int | None]
"""Host, index, and the instance's first memory slice."""


@dataclass(frozen=True)
class Stays:
    """A replica that the plan leaves where it is."""

    workload: str
    place: Place


def of_plan(
    plan: Plan,
    workloads: Sequence[Workload],
    stays: Iterable[Stays] = (),
    *,
    on_paper: bool = False,
    hours: float = HOURS,
) -> Account:
    """The accounting of a plan. What a replica uses is its workload's peak memory, without headroom.

    `on_paper`: the plan's cards are not those that the workloads run on, so nothing is known of before. Nor is it where
    no workload says where it runs.

    Raises:
        KeyError: the plan places a workload that is not among `workloads`.
    """
    by_name = {workload.name: workload for workload in workloads}
    where = _Where([each.card for each in plan.cards])
    staying = list(stays)
    after: dict[_Spot, list[Holder]] = defaultdict(list)
    for each in plan.assignments:
        after[each.host, each.index, each.start].append(_holder(by_name[each.workload]))
    for stay in staying:
        if (spot := where.spot(stay.place)) is not None:
            after[spot].append(_holder(by_name[stay.workload]))
    compared = not on_paper and any(workload.runs_on for workload in workloads)
    before: dict[_Spot, list[Holder]] = defaultdict(list)
    lost: list[str] = []
    for workload in workloads if compared else ():
        for place in workload.runs_on:
            if (spot := where.spot(place)) is None:
                lost.append(f"{workload.name} runs on {_text(place)}, which is not in the plan; it is not counted")
            else:
                before[spot].append(_holder(workload))
    pairs = tuple(
        Pair(
            _card(each.card, each.card.mig, each.card.instances, before),
            _card(each.card, each.mig, each.instances, after),
            compared,
        )
        for each in plan.cards
    )
    notes = (*dict.fromkeys(lost), *(_only_after(plan, workloads, staying) if compared else ()))
    return Account(pairs, compared, hours, notes)


def _holder(workload: Workload) -> Holder:
    return Holder(workload.name, workload.memory_mib)


def _card(card: FleetCard, mig: bool, instances: Iterable[Instance], holders: Mapping[_Spot, Sequence[Holder]]) -> Card:
    def there(start: int | None) -> Sequence[Holder]:
        return holders.get((card.host, card.index, start), ())

    if mig:
        ordered = sorted(instances, key=lambda each: each.start)
        parts = tuple(part(card.product, each.profile, each.start, there(each.start)) for each in ordered)
    else:
        parts = (part(card.product, WHOLE, None, there(None)),)
    memory = product(card.product).whole.memory_mib
    return Card(card.host, card.index, card.product, memory, mig, parts, card.uuid, card.price, card.held)


class _Where:
    """Finds the card or instance, as they are now, that a place means."""

    def __init__(self, cards: Sequence[FleetCard]) -> None:
        self._cards = {(card.host, key): card for card in cards for key in (card.index, card.uuid) if key != ""}

    def spot(self, place: Place) -> _Spot | None:
        card = self._cards.get((place.host, place.gpu))
        if card is None:
            return None
        if not card.mig:
            return card.host, card.index, None
        starts = {instance.start for instance in card.instances}
        if place.start is None and len(starts) == 1:
            return card.host, card.index, next(iter(starts))
        return (card.host, card.index, place.start) if place.start in starts else None


def _text(place: Place) -> str:
    return f"{place.host}/{place.gpu}" + ("" if place.start is None else f" at {place.start}")


def _only_after(plan: Plan, workloads: Sequence[Workload], stays: Sequence[Stays]) -> Iterator[str]:
    """Before and after are compared; what runs on one side only makes that unfair, so it is said."""
    placed = Counter([each.workload for each in plan.assignments] + [each.workload for each in stays])
    for workload in workloads:
        more = placed[workload.name] - len(workload.runs_on)
        if more > 0:
            yield f"{more} of {workload.name} {_run(more)} only after: before, {_it(more)} not counted"
        elif more < 0:
            yield f"{-more} of {workload.name} {_run(-more)} only before: after, {_it(-more)} without a place"


def _run(count: int) -> str:
    return "runs" if count == 1 else "run"


def _it(count: int) -> str:
    return "it is" if count == 1 else "they are"
