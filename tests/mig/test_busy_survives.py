"""Work survives whenever any legal layout of what is wanted allows it: against brute force, over random sequences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migprov.mig import steps
from migprov.mig.errors import GpuBusy, LayoutImpossible
from migprov.mig.plan import plan, predict
from migprov.mig.state import Gpu, GpuInstance, State
from migprov.mig.wanted import WantedGpu, WantedInstance

from .cards import PRODUCTS, gpu, process, state

KEYS = ("A100-80GB", "A30-24GB", "H200-141GB", "RTX-PRO-6000-BLACKWELL-96GB")
Spot = tuple[str, int]


def spans(key: str) -> dict[Spot, frozenset[int]]:
    """Each profile at each of its places, with the memory slices that it takes."""
    return {
        (profile.name, start): frozenset(range(start, start + profile.size))
        for profile in PRODUCTS[key].card.profiles
        for start in profile.starts
    }


def legal(key: str, names: tuple[str, ...]) -> bool:
    """The rules that are not about places, told anew from NVIDIA's guide."""
    card = PRODUCTS[key].card
    by_name = {profile.name: profile for profile in card.profiles}
    if sum(by_name[name].slices for name in names) > max(p.slices for p in card.profiles):
        return False
    if any(names.count(name) > by_name[name].max_instances for name in names):
        return False
    return sum("+me" in name for name in names) <= 1 and (
        not any(name.endswith("+me.all") for name in names) or all(name.endswith(("+me.all", "-me")) for name in names)
    )


def layouts(key: str, wanted: tuple[str, ...]) -> list[frozenset[Spot]]:
    """Every way to place what is wanted, by trying all."""
    if not legal(key, wanted):
        return []
    at = spans(key)
    ways: set[tuple[frozenset[Spot], frozenset[int]]] = {(frozenset(), frozenset())}
    for name in wanted:
        ways = {
            (spots | {spot}, taken | at[spot])
            for spots, taken in ways
            for spot in at
            if spot[0] == name and not taken & at[spot]
        }
    return [spots for spots, _ in ways]


def after(card: Gpu, planned: State) -> Gpu:
    """The predicted card, with ids of its own for what is new."""
    used = {gi.gi_id for gi in card.instances}
    free = iter(number for number in range(1, 99) if number not in used)
    made = []
    for gi in planned.gpus[0].instances:
        inner = tuple(ci._replace(ci_id=n) for n, ci in enumerate(gi.compute_instances))
        made.append(gi if gi.gi_id is not None else gi._replace(gi_id=next(free), compute_instances=inner))
    return planned.gpus[0]._replace(instances=tuple(made))


def spot(gi: GpuInstance) -> Spot:
    return gi.profile, gi.start


names = {key: sorted({profile.name for profile in PRODUCTS[key].card.profiles}) for key in KEYS}


Chapter = tuple[int, tuple[str, ...], int]


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, list[Chapter]]:
    """A product, and a sequence of changes: which of what was wanted before stays wanted (as bits), what is wanted
    besides, and which instances have work by then (as bits). Unrelated layouts would seldom leave anything to keep."""
    key = draw(st.sampled_from(KEYS))
    small = [name for name in names[key] if PRODUCTS[key].card.find(name).slices == 1]
    more = st.lists(st.one_of(st.sampled_from(small), st.sampled_from(names[key])), max_size=3).map(tuple)
    first = (0, (small[0],) * draw(st.integers(0, 7)), 0)
    chapters = st.lists(st.tuples(st.integers(0, 255), more, st.integers(0, 255)), min_size=1, max_size=5)
    return key, [first, *draw(chapters)]


@settings(max_examples=250, deadline=None)
@given(stories())
def test_work_survives_whenever_it_can(story: tuple[str, list[Chapter]]) -> None:
    key, chapters = story
    card = gpu(0, key)
    wanted: tuple[str, ...] = ()
    for stays, more, bits in chapters:
        wanted = (*(name for number, name in enumerate(wanted) if stays >> number & 1), *more)[:8]
        working = [gi for number, gi in enumerate(card.instances) if bits >> number & 1]
        work = tuple(process(5000 + n, gi.gi_id, 0) for n, gi in enumerate(working))
        now = state(card._replace(processes=work))
        ways = layouts(key, wanted)
        busy = {spot(gi) for gi in working}
        asks = {0: WantedGpu(True, tuple(WantedInstance(name) for name in wanted))}
        if not ways:
            with pytest.raises(LayoutImpossible):
                plan(now, asks)
            continue
        if not any(busy <= way for way in ways):
            with pytest.raises(GpuBusy) as refused:
                plan(now, asks)
            lost = {holder["pid"] for holder in refused.value.holders}
            most = max(len(busy & way) for way in ways)
            assert lost <= {each.pid for each in work}
            assert len(lost) == len(busy) - most  # no more is named than would have to go
            assert all(str(pid) in refused.value.message for pid in sorted(lost)[:5])
            continue
        planned = plan(now, asks)
        gone = {step.gi_id for step in planned if step.action == steps.DESTROY_GPU_INSTANCE}
        assert not gone & {gi.gi_id for gi in working}
        have = {spot(gi) for gi in card.instances}
        assert len(gone) == len(have) - max(len(have & way) for way in ways if busy <= way)
        card = after(card, predict(now, planned))._replace(processes=())
        assert frozenset(map(spot, card.instances)) in ways
        assert plan(state(card), asks) == []
