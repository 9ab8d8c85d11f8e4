"""Placement is exact: compared with brute force that shares nothing with it but the product table."""

import json
from functools import cache
from importlib.resources import files
from itertools import combinations_with_replacement, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migprov.mig.compute import _SIZES as SIZES
from migprov.mig.errors import LayoutImpossible, UnknownProfile
from migprov.mig.fit import Busy, beside, fit
from migprov.mig.wanted import WantedCompute, WantedInstance

from .cards import A100, BASE, PRODUCTS, instance

IDLE = Busy(frozenset(), frozenset())


@cache
def spans_of(card, names):
    """Every overlap-free placement of the names, as sets of (name, start), one slice after another."""
    if not names:
        return frozenset([frozenset()])
    profile = card.find(names[0])
    found = set()
    for others in spans_of(card, names[1:]):
        used = {s for name, start in others for s in range(start, start + card.find(name).size)}
        for start in profile.starts:
            if used.isdisjoint(range(start, start + profile.size)):
                found.add(others | {(names[0], start)})
    return frozenset(found)


def legal(card, names):
    media = [name for name in names if "+me" in name]
    return len(media) <= 1 and all(names.count(name) <= card.find(name).max_instances for name in names)


def multisets(card, names):
    """Every multiset of the names that has a placement, the empty one too."""
    most = sum(1 for _ in range(card.compute_slices))
    return [
        chosen
        for size in range(most + 1)
        for chosen in combinations_with_replacement(names, size)
        if legal(card, list(chosen)) and spans_of(card, chosen)
    ]


ALL_A100 = multisets(A100.card, BASE)


def test_there_are_38_valid_multisets_of_the_base_profiles():
    # the count that enumeration of NVIDIA's placement tables gives
    assert len(ALL_A100) == 38


@pytest.mark.parametrize("key", sorted(PRODUCTS))
def test_what_fits_and_what_does_not_on_every_product(key):
    card = PRODUCTS[key].card
    plain = [profile.name for profile in card.profiles if not profile.suffix]
    for size in range(1, 5):
        for chosen in combinations_with_replacement(plain, size):
            possible = legal(card, list(chosen)) and bool(spans_of(card, chosen))
            wanted = [WantedInstance(name) for name in chosen]
            if possible:
                placed = fit(card, (), IDLE, wanted).placed
                assert frozenset((p.profile.name, p.start) for p in placed) in spans_of(card, chosen)
            else:
                with pytest.raises(LayoutImpossible, match="the largest part that fits is"):
                    fit(card, (), IDLE, wanted)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_fewest_instances_are_destroyed(data):
    card = A100.card
    old = data.draw(st.sampled_from(ALL_A100))
    here = data.draw(st.sampled_from(sorted(spans_of(card, old), key=sorted)))
    new = data.draw(st.sampled_from(ALL_A100))
    existing = [instance(card, name, start, n) for n, (name, start) in enumerate(sorted(here))]
    busy_ids = data.draw(st.sets(st.sampled_from([gi.gi_id for gi in existing])) if existing else st.just(set()))
    best = fit(card, existing, Busy(frozenset(busy_ids), frozenset()), [WantedInstance(name) for name in new])

    def lost(target):
        gone = [gi for gi in existing if (gi.profile, gi.start) not in target]
        return (sum(gi.gi_id in busy_ids for gi in gone), len(gone))

    least = min(lost(target) for target in spans_of(card, new))
    assert (sum(gi.gi_id in busy_ids for gi in best.destroyed), len(best.destroyed)) == least
    kept = [p.kept for p in best.placed if p.kept is not None]
    assert len(kept) + len(best.destroyed) == len(existing)
    assert sorted(p.profile.name for p in best.placed) == sorted(new)


def test_the_order_in_which_instances_are_asked_for_never_matters():
    # asking a driver for 1g, 1g, 2g, 3g one after another fails at the 3g
    results = set()
    for order in permutations(["1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"]):
        placed = fit(A100.card, (), IDLE, [WantedInstance(name) for name in order]).placed
        results.add(frozenset((p.profile.name, p.start) for p in placed))
    assert len(results) == 1


def test_room_is_left_for_the_largest_profile():
    placed = fit(A100.card, (), IDLE, [WantedInstance("3g.40gb")]).placed
    assert [p.start for p in placed] == [4]  # at 0 it would block 4g.40gb
    placed = fit(A100.card, (), IDLE, [WantedInstance("1g.10gb")]).placed
    assert [p.start for p in placed] == [6]


def test_room_for_a_large_profile_counts_before_the_high_end():
    card = A100.card
    existing = [instance(card, "1g.10gb", 2, 1)]
    placed = fit(card, existing, IDLE, [WantedInstance("1g.10gb")] * 2).placed
    assert [p.start for p in placed] == [2, 3]  # at 6 it would block the last 3g.40gb
    existing = [instance(card, "3g.40gb", 4, 1)]
    placed = fit(card, existing, IDLE, [WantedInstance("3g.40gb"), WantedInstance("1g.10gb")]).placed
    assert [p.start for p in placed] == [3, 4]  # at 2 it would leave as much


def test_a_busy_instance_stays_even_if_more_idle_ones_go():
    card = A100.card
    existing = [instance(card, "1g.10gb", start, number) for number, start in enumerate((0, 4, 5), 1)]
    wanted = [WantedInstance("3g.40gb"), *[WantedInstance("1g.10gb")] * 2]
    assert [gi.gi_id for gi in fit(card, existing, IDLE, wanted).destroyed] == [1]
    busy = Busy(frozenset({1}), frozenset())
    assert [gi.gi_id for gi in fit(card, existing, busy, wanted).destroyed] == [2, 3]


@pytest.mark.parametrize("busy", [1, 2])
def test_a_busy_compute_instance_stays_where_either_instance_would_do(busy):
    card = A100.card
    existing = [instance(card, "3g.40gb", start, number, [(0, 1), (1, 1)]) for start, number in ((0, 1), (4, 2))]
    wanted = [
        WantedInstance("3g.40gb", None, (WantedCompute("1c.3g.40gb"),) * 2),
        WantedInstance("3g.40gb"),
    ]
    for order in (wanted, wanted[::-1]):
        found = fit(card, existing, Busy(frozenset({busy}), frozenset({(busy, 0)})), order)
        assert [p.kept.gi_id for p in found.placed if p.kept and not p.inside.destroy] == [busy]


@pytest.mark.parametrize(
    ("key", "names", "reason"),
    [
        ("A100-80GB", ["1g.10gb+me", "1g.10gb+me"], "at most 1 of 1g.10gb"),
        ("A30-24GB", ["1g.6gb+me", "2g.12gb+me"], "only one instance can have the media extensions"),
        ("A100-80GB", ["4g.40gb", "2g.20gb", "2g.20gb"], "8 compute slices are wanted, the GPU has 7"),
        ("A100-80GB", ["3g.40gb", "3g.40gb", "1g.10gb"], "their memory slices overlap"),
        ("A100-80GB", ["7g.80gb", "7g.80gb"], "at most 1 of 7g.80gb"),
        ("RTX-PRO-6000-BLACKWELL-96GB", ["1g.24gb+me.all", "1g.24gb"], "takes every media engine"),
    ],
)
def test_an_impossible_layout_says_why(key, names, reason):
    with pytest.raises(LayoutImpossible) as caught:
        fit(PRODUCTS[key].card, (), IDLE, [WantedInstance(name) for name in names])
    assert reason in caught.value.message
    assert "the largest part that fits is" in caught.value.message


@pytest.mark.parametrize(
    ("stays", "wanted", "rest"),
    [
        ([("3g.40gb", 0)], [("3g.40gb", None), ("3g.40gb", None)], ("3g.40gb",)),
        ([("3g.40gb", 0)], [("3g.40gb", 4), ("3g.40gb", 0)], ("3g.40gb",)),
        ([("3g.40gb", 0)], [("3g.40gb", 4)], ("3g.40gb",)),  # what stays stands elsewhere
        ([("3g.40gb", 4)], [("3g.40gb", 4)], ()),
        ([("7g.80gb", 0)], [("1g.10gb", None)], ()),
        ([("2g.20gb", 2)], [("4g.40gb", None), ("1g.10gb", None)], ("1g.10gb",)),
    ],
)
def test_what_has_a_place_beside_what_stays(stays, wanted, rest):
    card = A100.card
    kept = [instance(card, name, start, number) for number, (name, start) in enumerate(stays)]
    assert beside(card, kept, [WantedInstance(*each) for each in wanted]) == rest


def test_the_largest_part_is_named():
    with pytest.raises(LayoutImpossible, match=r"fits is 3g\.40gb x 2$"):
        fit(A100.card, (), IDLE, [WantedInstance(n) for n in ("3g.40gb", "3g.40gb", "1g.10gb")])


def test_me_all_goes_with_instances_that_have_no_media_engines():
    card = PRODUCTS["RTX-PRO-6000-BLACKWELL-96GB"].card
    placed = fit(card, (), IDLE, [WantedInstance("1g.24gb+me.all"), *[WantedInstance("1g.24gb-me")] * 3]).placed
    assert len(placed) == 4


def test_a_profile_of_another_card_is_refused_with_the_names_of_this_one():
    with pytest.raises(UnknownProfile, match=r"no profile 1g\.12gb; it has .*3g\.40gb"):
        fit(A100.card, (), IDLE, [WantedInstance("1g.12gb")])


def test_a_start_that_the_profile_does_not_have_is_refused():
    with pytest.raises(LayoutImpossible, match=r"cannot start at memory slice 2; it can at 0, 4"):
        fit(A100.card, (), IDLE, [WantedInstance("3g.40gb", 2)])


def test_compute_instances_are_reconciled_inside_a_kept_instance():
    card = A100.card
    existing = [instance(card, "3g.40gb", 4, 1, [(0, 1), (1, 1)])]
    wanted = [WantedInstance("3g.40gb", None, (WantedCompute("1c.3g.40gb"),) * 3)]
    placed = fit(card, existing, IDLE, wanted).placed[0]
    assert placed.kept is existing[0]
    assert placed.inside.destroy == ()
    assert [(c.slices, c.start) for c in placed.inside.create] == [(1, 2)]


def test_compute_instances_that_do_not_fit_are_refused():
    wanted = [WantedInstance("3g.40gb", None, (WantedCompute("2c.3g.40gb"),) * 2)]
    with pytest.raises(LayoutImpossible, match=r"2 \+ 2 slices do not fit into a 3g\.40gb"):
        fit(A100.card, (), IDLE, wanted)


@pytest.mark.parametrize(("gi", "ci"), [("4g.40gb", "3c.4g.40gb"), ("7g.80gb", "6c.7g.80gb")])
def test_compute_instances_of_a_size_that_does_not_exist_are_refused(gi, ci):
    with pytest.raises(LayoutImpossible, match=f"a {gi} has no compute instances of"):
        fit(A100.card, (), IDLE, [WantedInstance(gi, None, (WantedCompute(ci),))])


def test_the_sizes_of_compute_instances_are_those_of_the_table():
    rows = json.loads((files("migprov.mig") / "geometry.json").read_text())["products"]
    for row in (profile for product in rows for profile in product["gi_profiles"]):
        assert tuple(sorted(ci["slice_count"] for ci in row["ci_profiles"])) == SIZES[row["slice_count"]], row["name"]


def test_two_of_a_profile_with_different_insides_each_keep_their_own():
    card = A100.card
    existing = [instance(card, "3g.40gb", 0, 1, [(0, 3)]), instance(card, "3g.40gb", 4, 2, [(0, 1), (1, 1), (2, 1)])]
    wanted = [WantedInstance("3g.40gb", None, (WantedCompute("1c.3g.40gb"),) * 3), WantedInstance("3g.40gb")]
    result = fit(card, existing, IDLE, wanted)
    assert result.destroyed == ()
    assert all(p.inside.destroy == p.inside.create == () for p in result.placed)


def test_names_that_other_drivers_print_are_understood():
    card = PRODUCTS["GB200-186GB"].card
    assert card.find("3g.95gb").name == "3g.93gb"
