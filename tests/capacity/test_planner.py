"""The planner: as few cards as can be, nobody where he does not fit, nothing changed or moved without need."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migprov.capacity.account_plan import of_plan
from migprov.capacity.alternatives import alternatives
from migprov.capacity.model import WHOLE, FleetCard, Instance, Place, Plan, Workload
from migprov.capacity.outcome import layouts, order
from migprov.capacity.patterns import is_legal, patterns, starts
from migprov.capacity.planner import plan
from migprov.capacity.products import product
from migprov.errors import BadRequest

from .small_cases import best, case

GIB = 1024
A100 = "A100-80GB"
VOICE = [
    Workload("llm", int(73.2 * GIB), runs_on=(Place("gpu1", 0),)),
    Workload("asr", int(9.6 * GIB), runs_on=(Place("gpu1", 1),)),
    Workload("tts", int(13.4 * GIB), runs_on=(Place("gpu1", 2),)),
]
THREE = [FleetCard("gpu1", index, A100) for index in range(3)]


def cut(*instances: tuple[str, int], host: str = "gpu1", index: int = 0, key: str = A100) -> FleetCard:
    return FleetCard(host, index, key, mig=True, instances=tuple(Instance(*each) for each in instances))


def check(planned: Plan, workloads: list[Workload], cards: list[FleetCard]) -> None:
    """What is true of every plan, whatever it is."""
    by_name = {workload.name: workload for workload in workloads}
    placed = Counter(each.workload for each in planned.assignments)
    for left in planned.unplaced:
        assert left.reason
        placed[left.workload] += left.replicas
    assert placed == Counter({workload.name: workload.replicas for workload in workloads})
    assert [each.card.name for each in planned.cards] == [card.name for card in cards]
    seats = Counter((a.host, a.index, a.start) for a in planned.assignments)
    assert max(seats.values(), default=1) == 1
    after = {(each.card.host, each.card.index): each for each in planned.cards}
    for each in planned.cards:
        card = product(each.card.product).card
        profiles = tuple(card.find(instance.profile) for instance in each.instances)
        assert is_legal(card, profiles)
        taken = [set(range(i.start, i.start + p.size)) for i, p in zip(each.instances, profiles, strict=True)]
        assert sum(map(len, taken)) == len(set().union(*taken))
        assert all(i.start in p.starts for i, p in zip(each.instances, profiles, strict=True))
    for a in planned.assignments:
        there = after[a.host, a.index]
        offer = product(there.card.product).offer(a.profile)
        workload = by_name[a.workload]
        assert there.used
        if a.profile == WHOLE:
            assert not there.mig
        else:
            assert Instance(a.profile, a.start if a.start is not None else -1) in there.instances
            assert offer.memory_mib is not None
            assert offer.memory_mib >= workload.needed_mib
        assert workload.sms is None or (offer.sms or 0) >= workload.sms
        most = workload.most_per_node
        on_host = [b for b in planned.assignments if (b.workload, b.host) == (a.workload, a.host)]
        assert most is None or len(on_host) <= most
        others = [b for b in planned.assignments if (b.host, b.index) == (a.host, a.index) and b is not a]
        if workload.shares_card is False:
            assert not others
        elif isinstance(workload.shares_card, tuple):
            assert {b.workload for b in others} <= {workload.name, *workload.shares_card}
    assert planned.used.value == sum(each.used for each in planned.cards)


@pytest.mark.parametrize("block", range(4))
def test_the_count_of_cards_is_that_of_trying_everything(block: int) -> None:
    for seed in range(block * 25, block * 25 + 25):
        workloads, cards = case(seed)
        planned = plan(workloads, cards)
        check(planned, workloads, cards)
        missing = sum(each.replicas for each in planned.unplaced)
        assert (missing, planned.used.value) == best(workloads, cards), (seed, workloads, cards)
        assert planned.used.gap == 0


def test_the_voice_pipeline_frees_a_card() -> None:
    planned = plan(VOICE, THREE)
    check(planned, VOICE, THREE)
    assert [card.name for card in planned.freed] == ["gpu1/2"]
    assert [each.card.name for each in planned.changed] == ["gpu1/1"]
    assert [(a.workload, a.index, a.profile, a.moved) for a in planned.assignments] == [
        ("llm", 0, WHOLE, False),
        ("asr", 1, "1g.20gb", True),
        ("tts", 1, "1g.20gb", True),
    ]
    assert planned.notes == ("llm: a whole A100-80GB leaves 9% of headroom, not 20%; the fleet has nothing larger",)
    made = layouts(planned)
    assert made.of_host == {"gpu1": "plan-1"}
    assert made.configs["plan-1"] == [
        {"devices": [0], "mig-enabled": False},
        {"devices": [1], "mig-enabled": True, "mig-devices": {"1g.20gb": 2}},
    ]


def test_the_ways_to_cut_the_card_of_the_voice_pipeline() -> None:
    ways = {each.pattern: each for each in alternatives(VOICE[1:], A100)}
    tight, wide = ways["1g.20gb", "1g.20gb"], ways["3g.40gb", "3g.40gb"]
    assert next(iter(ways)) == tight.pattern
    assert (tight.room, tight.free_memory_slices, tight.free_compute_slices) == ("4g.40gb", 4, 5)
    assert (wide.room, wide.free_memory_slices, wide.free_compute_slices) == (None, 0, 1)
    # Bandwidth follows the memory slices (4 of 8 of 2,039 GB/s), SMs the compute slices (3 of 7 of 98).
    assert [(s.offer.bandwidth_gbs, s.offer.sms) for s in wide.seats] == [(1019.5, 42), (1019.5, 42)]
    assert [s.spare_mib for s in tight.seats] == [19968 - 9830, 19968 - 13721]
    assert alternatives([Workload("x", 60 * GIB, 2)], A100) == []


def test_what_is_right_already_is_left_alone() -> None:
    cards = [cut(("3g.40gb", 0), ("3g.40gb", 4)), FleetCard("gpu1", 1, A100)]
    workloads = [Workload("a", 20 * GIB, runs_on=(Place("gpu1", 0, 4),)), Workload("b", 4 * GIB)]
    planned = plan(workloads, cards)
    check(planned, workloads, cards)
    assert planned.changed == ()
    assert (planned.moved, planned.used.value) == (0, 1)
    assert [(a.workload, a.start, a.moved) for a in planned.assignments] == [("a", 4, False), ("b", 0, False)]
    assert layouts(planned).configs == {}


def test_who_runs_stays_when_the_card_is_cut_anew() -> None:
    cards = [cut(("3g.40gb", 4))]
    workloads = [Workload("a", 30 * GIB, runs_on=(Place("gpu1", 0, 4),)), Workload("b", 4 * GIB, 3)]
    planned = plan(workloads, cards)
    check(planned, workloads, cards)
    assert planned.moved == 0
    assert [(a.profile, a.start) for a in planned.assignments if a.workload == "a"] == [("3g.40gb", 4)]


def test_fewest_changes_come_before_fewest_moves() -> None:
    # Both need one card. Staying would mean cutting the busy card, moving to the one that is cut right changes nothing.
    cards = [cut(("1g.10gb", 0), index=0), cut(("1g.10gb", 0), ("1g.10gb", 1), index=1)]
    workloads = [Workload("a", 4 * GIB, 2, runs_on=(Place("gpu1", 0, 0),))]
    planned = plan(workloads, cards)
    check(planned, workloads, cards)
    assert (len(planned.changed), planned.moved, planned.used.value) == (0, 1, 1)


def test_the_least_cost_is_not_always_the_fewest_cards() -> None:
    cards = [FleetCard("a", 0, A100, price=4.0), *(FleetCard("b", i, "A30-24GB", price=1.0) for i in range(4))]
    workloads = [Workload("w", 9 * GIB, 2)]
    assert plan(workloads, cards).used.value == 1
    cheap = plan([Workload("w", 15 * GIB, 2)], cards, least="cost")
    assert cheap.cost is not None
    assert (cheap.used.value, cheap.cost.value) == (2, 2.0)
    with pytest.raises(BadRequest, match="no price"):
        plan(workloads, [*cards, FleetCard("c", 0, A100)], least="cost")


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e300])
def test_prices_of_any_size(unit: float) -> None:
    cards = [FleetCard("a", 0, A100, price=3 * unit), *(FleetCard("b", i, "A30-24GB", price=unit) for i in range(4))]
    cheap = plan([Workload("w", 15 * GIB, 2)], cards, least="cost")
    assert cheap.cost is not None
    assert (cheap.used.value, cheap.cost.value, cheap.cost.gap) == (2, pytest.approx(2 * unit), 0)


def test_cards_in_reserve_and_cards_that_are_held() -> None:
    cards = [FleetCard("a", i, A100) for i in range(3)]
    planned = plan([Workload("w", 70 * GIB, 3, headroom=0)], cards, reserve_per_node=1)
    assert [each.replicas for each in planned.unplaced] == [1]
    assert planned.cards[2].card.held == "kept in reserve"
    assert planned.freed == ()
    held = plan([Workload("w", 4 * GIB)], [replace(cards[0], held="does not answer"), cards[1]])
    assert [a.index for a in held.assignments] == [1]


def test_a_card_of_the_reserve_on_which_work_runs_is_freed() -> None:
    cards = [FleetCard("a", i, A100) for i in range(2)]
    workloads = [Workload(name, 9 * GIB, runs_on=(Place("a", i),)) for i, name in enumerate("ab")]
    planned = plan(workloads, cards, reserve_per_node=1)
    assert [each.card for each in planned.cards] == cards
    assert (planned.freed, planned.moved) == ((cards[1],), 2)
    account = of_plan(planned, workloads)
    before = account.before
    assert before is not None
    assert (before.cards, before.in_use, before.used_mib, account.after.in_use) == (2, 2, 18 * GIB, 1)
    assert account.freed == (account.pairs[1].after,)


def test_replicas_are_spread_over_the_nodes() -> None:
    cards = [FleetCard(host, 0, A100) for host in "abcd"]
    two = plan([Workload("w", 30 * GIB, 4, most_per_node=1)], cards)
    assert Counter(a.host for a in two.assignments) == dict.fromkeys("abcd", 1)
    # Without a limit: fewest cards first, then spread over those that are used.
    fewest = plan([Workload("w", 30 * GIB, 2), Workload("v", 30 * GIB, 2)], cards)
    assert Counter((a.host, a.workload) for a in fewest.assignments).most_common(1)[0][1] == 1


def test_what_cannot_be_placed_says_why() -> None:
    big = plan([Workload("w", 100 * GIB)], THREE).unplaced[0]
    assert big.reason == "needs 122880 MiB; A100-80GB: it has 81920 MiB and 122880 are needed"
    media = plan([Workload("w", 4 * GIB, engines=frozenset(["encoder"]))], THREE).unplaced[0]
    assert "it has no encoder" in media.reason
    full = plan([Workload("w", 60 * GIB, 4)], THREE).unplaced[0]
    assert (full.replicas, full.reason) == (1, "every card that could hold it is full")
    nowhere = plan([Workload("w", 4 * GIB)], []).unplaced[0]
    assert "no card that may be used" in nowhere.reason


def test_new_places_are_made_before_old_ones_go() -> None:
    # b's card takes in what runs on a's: b first.
    cards = [FleetCard("a", 0, A100), FleetCard("b", 0, A100), FleetCard("a", 1, A100)]
    workloads = [
        Workload("x", 30 * GIB, products=(A100,), runs_on=(Place("a", 0),)),
        Workload("y", 30 * GIB, runs_on=(Place("b", 0),)),
        Workload("z", 4 * GIB, 8, runs_on=()),
    ]
    planned = plan(workloads, cards)
    check(planned, workloads, cards)
    hosts = order(planned, workloads)
    assert sorted(hosts) == sorted({each.card.host for each in planned.changed})


@pytest.mark.parametrize(
    ("workloads", "cards", "words"),
    [
        ([Workload("a", 1), Workload("a", 1)], THREE, "two workloads have the name 'a'"),
        ([], [*THREE, THREE[0]], "two cards have the name 'gpu1/0'"),
        ([Workload("a", 1, shares_card=("b",))], THREE, "'b', which is no workload here"),
        ([Workload("a", 1, runs_on=(Place("gpu9", 0),))], THREE, "gpu9/0, which is not in the fleet"),
        ([Workload("a", 1, runs_on=(Place("gpu1", 0, 4),))], THREE, "gpu1/0, but nothing begins at 4 now"),
        (
            [Workload("a", 1, runs_on=(Place("gpu1", 0),))],
            [FleetCard("gpu1", 0, A100, mig=True, instances=(Instance("3g.40gb", 0),))],
            "runs on gpu1/0, but that card is cut now",
        ),
        ([Workload("a", 1, runs_on=(Place("gpu1", 0), Place("gpu1", 1)))], THREE, "more than its 1 replicas"),
        (
            [Workload("a", 1, runs_on=(Place("gpu1", 0),)), Workload("b", 1, runs_on=(Place("gpu1", 0),))],
            THREE,
            "'a' and 'b' run in one place",
        ),
        ([Workload("a", 1)], [FleetCard("x", 0, "V100")], "there is no product 'V100'"),
    ],
)
def test_bad_input(workloads: list[Workload], cards: list[FleetCard], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        plan(workloads, cards)


def test_the_same_input_gives_the_same_plan() -> None:
    for seed in range(300, 320):
        workloads, cards = case(seed)
        assert plan(workloads, cards) == plan(list(workloads), list(cards))


@st.composite
def running_fleets(draw: st.DrawFn) -> tuple[list[Workload], list[FleetCard]]:
    """Cards that are cut already, with workloads in some of the instances."""
    cards: list[FleetCard] = []
    places: list[Place] = []
    for number in range(draw(st.integers(1, 4))):
        key = draw(st.sampled_from([A100, "H100-80GB-SXM"]))
        if not draw(st.booleans()):
            cards.append(FleetCard("n", number, key))
            places += [Place("n", number)] if draw(st.booleans()) else []
            continue
        plain = frozenset(name for name in product(key).offers if "+" not in name)
        pattern = draw(st.sampled_from(patterns(key, plain)))
        chosen = [product(key).card.find(name) for name in pattern]
        instances = tuple(
            Instance(profile.name, start) for profile, start in zip(chosen, next(starts(tuple(chosen))), strict=True)
        )
        cards.append(FleetCard("n", number, key, True, instances))
        places += [Place("n", number, each.start) for each in instances if draw(st.booleans())]
    workloads = [
        Workload(f"w{number}", draw(st.sampled_from([3000, 8000, 15000, 30000])), headroom=0.2, runs_on=(place,))
        for number, place in enumerate(places)
    ]
    return workloads, cards


@settings(max_examples=60, deadline=None)
@given(running_fleets())
def test_planning_again_on_the_result_changes_and_moves_nothing(given_: tuple[list[Workload], list[FleetCard]]) -> None:
    workloads, cards = given_
    first = plan(workloads, cards)
    check(first, workloads, cards)
    after = [replace(each.card, mig=each.mig, instances=each.instances) for each in first.cards]
    settled = [
        replace(
            workload,
            replicas=len(own),
            runs_on=tuple(Place(a.host, a.index, a.start) for a in own),
        )
        for workload in workloads
        if (own := [a for a in first.assignments if a.workload == workload.name])
    ]
    again = plan(settled, after)
    check(again, settled, after)
    assert (again.changed, again.moved, again.used.value) == ((), 0, first.used.value)


def test_starts_are_those_that_the_node_will_choose() -> None:
    # Placed as if nothing but them were asked for: the driver's own order, from the high end.
    alone = plan([Workload("w", 8000, 2)], [FleetCard("a", 0, A100)])
    assert [(each.profile, each.start) for each in alone.cards[0].instances] == [("1g.10gb", 4), ("1g.10gb", 5)]
    assert [each.start for each in alone.assignments] == [4, 5]


def test_a_namesake_on_another_product_is_no_place_to_stay() -> None:
    # 1g.10gb is a profile of both products.
    cards = [cut(("1g.10gb", 0)), cut(("1g.10gb", 0), index=1, key="H100-80GB-SXM")]
    workloads = [Workload(f"w{index}", 3000, runs_on=(Place("gpu1", index, 0),), products=(key,))
                 for index, key in enumerate([A100, "H100-80GB-SXM"])]  # fmt: skip
    planned = plan(workloads, cards)
    check(planned, workloads, cards)
    assert (planned.changed, planned.moved) == ((), 0)
