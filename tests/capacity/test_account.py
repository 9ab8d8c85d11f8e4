"""The accounting: what is used, allocated and paid for, before and after."""

from __future__ import annotations

import pytest

from migprov.capacity.account import Account, Card, Holder, Pair, Part, part
from migprov.capacity.account_plan import Stays, of_plan
from migprov.capacity.model import (
    Assignment,
    Bound,
    CardPlan,
    FleetCard,
    Instance,
    Place,
    Plan,
    Unplaced,
    Workload,
)
from migprov.capacity.planner import plan
from migprov.capacity.units import memory_mib

A100 = "A100-80GB"


def mib(text: str) -> int:
    found = memory_mib(text)
    assert found is not None
    return found


def seed(price: float | None = 2.0) -> tuple[list[Workload], list[FleetCard]]:
    """Three cards, each held by one model."""
    sizes = {"llm": ("73.2 GiB", 0.05), "asr": ("9.6 GiB", 0.2), "tts": ("13.4 GiB", 0.2)}
    workloads = [
        Workload(name, mib(size), headroom=headroom, runs_on=(Place("gpu1", index),))
        for index, (name, (size, headroom)) in enumerate(sizes.items())
    ]
    return workloads, [FleetCard("gpu1", index, A100, price=price) for index in range(3)]


def seed_account(hours: float = 720, price: float | None = 2.0) -> Account:
    workloads, cards = seed(price)
    return of_plan(plan(workloads, cards), workloads, hours=hours)


def test_the_voice_pipeline() -> None:
    account = seed_account()
    before, after = account.before, account.after
    assert before is not None
    assert (before.used_mib, after.used_mib) == (98510, 98510)  # 73.2 + 9.6 + 13.4 GiB, each rounded up to MiB
    assert (before.memory_mib, after.memory_mib) == (3 * 81920, 2 * 81920)
    assert (before.in_use, after.in_use, len(account.freed)) == (3, 2, 1)
    assert round(before.efficiency or 0, 4) == 0.4008
    assert round(after.efficiency or 0, 4) == 0.6013
    assert (account.money(before.per_hour), account.money(after.per_hour)) == (4320, 2880)
    assert account.money(account.saved_per_hour) == 1440
    assert before.allocated_mib == 3 * 81920
    assert after.allocated_mib == 81920 + 2 * 19968  # a whole card and two instances of 19.5 GiB


def test_money_by_hours_and_without_a_price() -> None:
    assert seed_account(hours=100).money(6.0) == 600
    unpriced = seed_account(price=None)
    assert unpriced.after.per_hour is None
    assert unpriced.saved_per_hour is None


def test_one_card_in_use_without_a_price_makes_the_sum_unknown() -> None:
    held = (part(A100, "gpu", None, [Holder("x", 1)]),)
    one = Card("a", 0, A100, 81920, False, held, price=2.0)
    two = Card("a", 1, A100, 81920, False, held)
    assert Account((Pair(one, one),)).after.per_hour == 2.0
    assert Account((Pair(one, one), Pair(two, two))).after.per_hour is None


def test_an_instance_has_its_slices_of_the_bandwidth_and_its_profiles_sms() -> None:
    three = part(A100, "3g.40gb", 4)
    assert (three.slices, three.bandwidth_gbs) == (4, 2039 * 4 / 8)
    assert three.sms == 98 * 3 // 7 == 42
    small = part(A100, "1g.10gb", 0)
    assert (small.bandwidth_gbs, small.sms) == (2039 / 8, 14)
    whole = part(A100, "gpu", None)
    assert (whole.bandwidth_gbs, whole.sms, whole.memory_mib) == (2039, 108, 81920)


def test_what_is_held_is_allocated_and_what_is_not_is_not() -> None:
    held, free = part(A100, "3g.40gb", 0, [Holder("asr", 9831)]), part(A100, "3g.40gb", 4)
    card = Card("a", 0, A100, 81920, True, (held, free))
    assert (card.allocated_mib, card.used_mib) == (40192, 9831)
    total = Account((Pair(card, card),)).after
    assert (total.memory_mib, total.allocated_mib, total.used_mib) == (81920, 40192, 9831)
    assert total.fill == 9831 / 40192


def test_what_is_not_known_is_in_no_sum() -> None:
    known = Card("a", 0, A100, 81920, False, (part(A100, "gpu", None, [Holder("x", 8192)]),))
    unknown = Card("a", 1, A100, 81920, False, (part(A100, "gpu", None, [Holder("y", None), Holder("z", 5)]),))
    total = Account((Pair(known, known), Pair(unknown, unknown))).after
    assert (total.in_use, total.left_out, total.memory_mib, total.used_mib) == (2, 1, 81920, 8192)
    assert total.efficiency == 0.1
    assert unknown.used_mib is None
    assert Account((Pair(unknown, unknown),)).after.efficiency is None


def test_what_was_measured_of_all_outranks_the_sum_of_the_holders() -> None:
    assert Part("gpu", None, 100, holders=(Holder("a", None),), in_use_mib=7).used_mib == 7
    assert Part("gpu", None, 100, in_use_mib=7).used_mib == 0  # nobody holds it


def test_a_card_that_is_left_alone_counts_neither_before_nor_after() -> None:
    workload = Workload("asr", 1000, replicas=1)
    card = FleetCard("gpu1", 0, A100, price=2.0, held="process 7 is not in the workloads file")
    empty = Plan((CardPlan(card, False, (), False),), (), (), Bound(0, 0))
    account = of_plan(empty, [workload], [Stays("asr", Place("gpu1", 0))])
    assert (account.after.cards, account.after.in_use) == (0, 0)
    assert account.pairs[0].change == "held"
    assert account.pairs[0].after.used_mib == 1000


def test_changes() -> None:
    workloads, cards = seed()
    account = of_plan(plan(workloads, cards), workloads)
    assert sorted(pair.change for pair in account.pairs) == ["cut", "freed", "same"]


def test_replicas_of_one_side_only_are_told() -> None:
    workloads = [
        Workload("new", 1000, replicas=2, runs_on=(Place("gpu1", 0),)),
        Workload("gone", 1000, replicas=2, runs_on=(Place("gpu1", 1), Place("gpu1", 2))),
        Workload("lost", 1000, runs_on=(Place("gpu9", 0),)),
    ]
    cards = tuple(CardPlan(FleetCard("gpu1", index, A100), False, (), index < 2) for index in range(3))
    assignments = tuple(Assignment("new", each, "gpu1", each, "gpu", None) for each in range(2))
    answer = Plan(cards, assignments, (Unplaced("gone", 2, "no room"),), Bound(2, 2))
    account = of_plan(answer, workloads)
    assert account.notes == (
        "lost runs on gpu9/0, which is not in the plan; it is not counted",
        "1 of new runs only after: before, it is not counted",
        "2 of gone run only before: after, they are without a place",
        "1 of lost runs only before: after, it is without a place",
    )


def test_a_place_on_a_cut_card_means_its_instance() -> None:
    cut = (Instance("3g.40gb", 0), Instance("3g.40gb", 4))
    card = FleetCard("gpu1", 0, A100, True, cut, uuid="GPU-1")
    workload = Workload("asr", 1000, runs_on=(Place("gpu1", "GPU-1", 4),))
    same = Plan((CardPlan(card, True, cut, True),), (Assignment("asr", 0, "gpu1", 0, "3g.40gb", 4),), (), Bound(1, 1))
    account = of_plan(same, [workload])
    assert [part.used_mib for part in account.pairs[0].before.parts] == [0, 1000]
    assert account.pairs[0].change == "same"
    assert account.notes == ()


@pytest.mark.parametrize("on_paper", [True, False])
def test_without_a_before_nothing_is_freed(on_paper: bool) -> None:
    workloads, cards = seed()
    if not on_paper:
        workloads = [Workload(each.name, each.memory_mib, headroom=0.05) for each in workloads]
    account = of_plan(plan(workloads, cards), workloads, on_paper=on_paper)
    assert (account.before, account.freed, account.saved_per_hour) == (None, (), None)
    assert {pair.change for pair in account.pairs} <= {"used", "free"}
