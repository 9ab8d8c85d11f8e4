"""State and wanted give steps; planning again on the state they lead to gives none."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migprov.mig.errors import GpuBusy, GpuLost, NotMigCapable, UnknownProfile
from migprov.mig.history import as_entries
from migprov.mig.plan import plan, predict
from migprov.mig.state import State, Trouble
from migprov.mig.text import describe, describe_step
from migprov.mig.wanted import WantedCompute, WantedGpu, WantedInstance

from .cards import A100, PRODUCTS, gpu, instance, process, state, t4
from .test_fit import ALL_A100, spans_of

OFF: dict[str, Any] = {"mig_current": False, "mig_pending": False}
TWO_3G = WantedGpu(True, (WantedInstance("3g.40gb"), WantedInstance("3g.40gb")))
DISABLED = WantedGpu(False)


def words(steps):
    return [describe_step(step.to_json()) for step in steps]


NEW_3G = [
    "GPU 0: create GPU instance 3g.40gb at 0",
    "GPU 0: create compute instance 3g.40gb in 3g.40gb at 0",
    "GPU 0: create GPU instance 3g.40gb at 4",
    "GPU 0: create compute instance 3g.40gb in 3g.40gb at 4",
]
CARD = A100.card

TABLE = {
    "a whole card is cut": (gpu(**OFF), TWO_3G, ["GPU 0: enable MIG mode", *NEW_3G]),
    "MIG is on already": (gpu(), TWO_3G, NEW_3G),
    "enabling is pending: the reset that is due": (gpu(mig_current=False), TWO_3G, ["GPU 0: reset", *NEW_3G]),
    "disabling is pending, and MIG is wanted": (gpu(mig_pending=False), TWO_3G, ["GPU 0: enable MIG mode", *NEW_3G]),
    "off and wanted off": (gpu(**OFF), DISABLED, []),
    "enabling is pending, and off is wanted": (gpu(mig_current=False), DISABLED, ["GPU 0: disable MIG mode"]),
    "disabling is pending, and off is wanted": (gpu(mig_pending=False), DISABLED, ["GPU 0: reset"]),
    "off again, instances go first": (
        gpu(instances=(instance(CARD, "3g.40gb", 4, 2),)),
        DISABLED,
        [
            "GPU 0: destroy compute instance 0 (3g.40gb) in 3g.40gb at 4",
            "GPU 0: destroy GPU instance 2 (3g.40gb at 4)",
            "GPU 0: disable MIG mode",
        ],
    ),
    "what fits stays": (
        gpu(instances=(instance(CARD, "3g.40gb", 4, 2), instance(CARD, "1g.10gb", 0, 7))),
        TWO_3G,
        [
            "GPU 0: destroy compute instance 0 (1g.10gb) in 1g.10gb at 0",
            "GPU 0: destroy GPU instance 7 (1g.10gb at 0)",
            *NEW_3G[:2],
        ],
    ),
    "a GPU instance stays though all inside it goes": (
        gpu(instances=(instance(CARD, "3g.40gb", 0, 2, [(0, 1), (1, 1), (2, 1)]),)),
        WantedGpu(True, (WantedInstance("3g.40gb"),)),
        [
            *(f"GPU 0: destroy compute instance {number} (1c.3g.40gb) in 3g.40gb at 0" for number in range(3)),
            "GPU 0: create compute instance 3g.40gb at 0 in 3g.40gb at 0",
        ],
    ),
    "MIG on without instances": (
        gpu(instances=(instance(CARD, "7g.80gb", 0, 0),)),
        WantedGpu(True, ()),
        [
            "GPU 0: destroy compute instance 0 (7g.80gb) in 7g.80gb at 0",
            "GPU 0: destroy GPU instance 0 (7g.80gb at 0)",
        ],
    ),
    "only the mode is wanted": (gpu(instances=(instance(CARD, "7g.80gb", 0, 0),)), WantedGpu(True, None), []),
    "a GPU without MIG that shall be off": (t4(0), DISABLED, []),
    "sub-slicing": (
        gpu(),
        WantedGpu(True, (WantedInstance("3g.40gb", 0, (WantedCompute("1c.3g.40gb"), WantedCompute("2c.3g.40gb"))),)),
        [
            "GPU 0: create GPU instance 3g.40gb at 0",
            "GPU 0: create compute instance 2c.3g.40gb in 3g.40gb at 0",
            "GPU 0: create compute instance 1c.3g.40gb in 3g.40gb at 0",
        ],
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_steps(case):
    before, wanted, expected = TABLE[case]
    steps = plan(state(before), {0: wanted})
    assert words(steps) == expected
    assert plan(predict(state(before), steps), {0: wanted}) == []


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_planning_again_gives_nothing(data):
    here = data.draw(st.sampled_from(sorted(spans_of(CARD, data.draw(st.sampled_from(ALL_A100))), key=sorted)))
    before = gpu(
        mig_current=True,
        mig_pending=data.draw(st.booleans()),
        instances=tuple(instance(CARD, name, start, n) for n, (name, start) in enumerate(sorted(here))),
    )
    target = data.draw(st.sampled_from(ALL_A100))
    wanted = data.draw(
        st.sampled_from([DISABLED, WantedGpu(True, None), WantedGpu(True, tuple(WantedInstance(n) for n in target))])
    )
    steps = plan(state(before), {0: wanted})
    after = predict(state(before), steps)
    assert plan(after, {0: wanted}) == []
    if wanted.mig_enabled and wanted.instances is not None:
        assert sorted(gi.profile for gi in after.gpu(0).instances) == sorted(target)


def test_only_the_gpus_that_differ_are_touched():
    full = gpu(0, instances=tuple(instance(CARD, "1g.10gb", n, n + 7) for n in range(7)))
    node = state(full, full._replace(index=1, uuid="GPU-1"), gpu(2, **OFF))
    seven = WantedGpu(True, (WantedInstance("1g.10gb"),) * 7)
    steps = plan(node, {0: DISABLED, 1: seven, 2: DISABLED})
    assert {step.gpu for step in steps} == {0}
    assert sum(step.action == "destroy_gpu_instance" for step in steps) == 7
    assert sum(step.action == "set_mig_mode" for step in steps) == 1


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        (gpu(**OFF, processes=(process(),)), TWO_3G),
        (gpu(mig_current=False, processes=(process(),)), TWO_3G),
        (gpu(instances=(instance(CARD, "7g.80gb", 0, 5),), processes=(process(gi_id=5, ci_id=0),)), DISABLED),
        (gpu(instances=(instance(CARD, "7g.80gb", 0, 5),), processes=(process(gi_id=5, ci_id=0),)), TWO_3G),
    ],
)
def test_work_in_the_way_is_refused_by_name(before, wanted):
    with pytest.raises(GpuBusy, match=r"GPU 0 \(GPU-0\) is in use by process 4242 \(python3, user asr\)") as caught:
        plan(state(before), {0: wanted})
    assert caught.value.holders[0]["pid"] == 4242
    assert "this GPU was not changed" in caught.value.next


def test_work_beside_what_changes_does_not_stop_it():
    before = gpu(
        instances=(instance(CARD, "3g.40gb", 4, 2), instance(CARD, "1g.10gb", 0, 7)),
        processes=(process(gi_id=2, ci_id=0),),
    )
    assert [step.gi_id for step in plan(state(before), {0: TWO_3G}) if step.action == "destroy_gpu_instance"] == [7]


def test_a_refusal_names_the_nearest_layout_that_lets_the_work_stay():
    before = gpu(
        instances=(instance(CARD, "3g.40gb", 4, 2), instance(CARD, "1g.10gb", 0, 7)),
        processes=(process(gi_id=2, ci_id=0),),
    )
    for names, room in (
        (("4g.40gb", "2g.20gb", "1g.10gb"), "there is room for 4g.40gb of it"),
        (("7g.80gb",), "there is room for nothing of it"),
        (("2g.20gb",) * 3, "there is room for 2g.20gb x 2 of it"),
    ):
        with pytest.raises(GpuBusy) as caught:
            plan(state(before), {0: WantedGpu(True, tuple(WantedInstance(name) for name in names))})
        assert "beside 3g.40gb at slice 4, which is in use, " + room in caught.value.message


def test_a_busy_gpu_that_needs_no_change_is_no_error():
    assert plan(state(gpu(**OFF, processes=(process(),))), {0: DISABLED}) == []


def test_a_gpu_without_mig_is_refused():
    with pytest.raises(NotMigCapable, match=", Tesla T4, has no MIG"):
        plan(state(t4(0)), {0: TWO_3G})


def test_work_in_a_compute_instance_that_would_go_is_named():
    node = gpu(instances=(instance(CARD, "3g.40gb", 0, 1, [(0, 1), (1, 1)]),), processes=(process(7, 1, 1),))
    with pytest.raises(GpuBusy) as caught:
        plan(state(node), {0: WantedGpu(True, (WantedInstance("3g.40gb"),))})
    assert [holder["pid"] for holder in caught.value.holders] == [7]


@pytest.mark.parametrize(("busy", "gone"), [(0, [1, 2]), (1, [0]), (2, [0])])
def test_which_compute_instances_go_depends_on_where_the_work_is(busy, gone):
    inside = [(0, 1), (2, 1), (3, 1)]
    node = gpu(instances=(instance(CARD, "4g.40gb", 0, 1, inside),), processes=(process(7, 1, busy),))
    names = ("2c.4g.40gb", "1c.4g.40gb", "1c.4g.40gb")
    wanted = WantedInstance("4g.40gb", None, tuple(WantedCompute(name) for name in names))
    steps = plan(state(node), {0: WantedGpu(True, (wanted,))})
    assert [step.ci_id for step in steps if step.action == "destroy_compute_instance"] == gone


def test_an_agent_in_an_instance_does_not_make_others_go():
    here = tuple(instance(CARD, "1g.10gb", start, number) for number, start in enumerate((0, 4, 5), 1))
    wanted = {0: WantedGpu(True, tuple(WantedInstance(name) for name in ("3g.40gb", "1g.10gb", "1g.10gb")))}
    agent = process(7, 1, 0)._replace(unit="nvidia-dcgm.service")
    for there, gone in ((agent, [1]), (agent._replace(unit="asr.service"), [2, 3])):
        steps = plan(state(gpu(instances=here, processes=(there,))), wanted)
        assert [step.gi_id for step in steps if step.action == "destroy_gpu_instance"] == gone


def test_what_is_written_down_to_go_back_to_is_what_was_read():
    troubled = gpu(1, error=Trouble("reset_required", "the GPU requires a reset"))
    there = gpu(instances=(instance(CARD, "3g.40gb", 4, 2, [(1, 1)]),))
    (kept,) = as_entries(state(there, troubled, t4(2), gpu(3)), {0, 1, 2})
    inside = [{"profile": "1c.3g.40gb", "start": 1}]
    assert kept["devices"] == ["GPU-0"]
    assert kept["instances"] == [{"profile": "3g.40gb", "start": 4, "compute_instances": inside}]


def test_a_lost_gpu_is_refused():
    with pytest.raises(GpuLost, match="fell off the bus"):
        plan(state(gpu(error=Trouble("gpu_lost", "it is lost: it fell off the bus"))), {0: TWO_3G})


def test_a_card_that_nobody_knows_is_refused():
    unknown = State("535.1.1", (gpu(**OFF),), {})
    with pytest.raises(UnknownProfile, match="its driver tells no profiles while MIG is off"):
        plan(unknown, {0: TWO_3G})


@pytest.mark.parametrize("key", sorted(PRODUCTS))
def test_each_profile_of_each_product_alone(key):
    for profile in PRODUCTS[key].card.profiles:
        node = state(gpu(key=key))
        wanted = {0: WantedGpu(True, (WantedInstance(profile.name),) * profile.max_instances)}
        steps = plan(node, wanted)
        assert sum(step.action == "create_gpu_instance" for step in steps) == profile.max_instances
        assert plan(predict(node, steps), wanted) == []


def test_the_description_is_the_same_for_the_predicted_and_the_real_state():
    before = state(gpu())
    steps = plan(before, {0: TWO_3G})
    real = state(gpu(instances=(instance(CARD, "3g.40gb", 0, 1), instance(CARD, "3g.40gb", 4, 2))))
    assert describe(predict(before, steps).to_json()) == describe(real.to_json())
    assert describe(real.to_json()) != describe(before.to_json())
