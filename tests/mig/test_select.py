"""Which GPUs an entry means, and verify's differences."""

import pytest

from migprov.mig import geometry
from migprov.mig.compare import differences
from migprov.mig.errors import BadRequest, NotMigCapable, UnknownGpu
from migprov.mig.plan import plan
from migprov.mig.select import chosen, pci_address, wanted_gpus
from migprov.mig.state import Gpu, Trouble
from migprov.mig.wanted import Entry, WantedCompute, WantedGpu, WantedInstance, entries_from_json

from .cards import A100, gpu, instance, state, t4

NODE = (gpu(0), gpu(1), t4(2))
ONE = (WantedInstance("7g.80gb"),)


@pytest.mark.parametrize("selector", [1, "GPU-1", "gpu-1", "00000000:08:00.0", "0000:08:00.0", "08:00.0", "0:8:0.0"])
def test_a_gpu_is_named_by_index_uuid_or_pci_bus_id(selector):
    assert [g.index for g in chosen(NODE, (selector,))] == [1]


@pytest.mark.parametrize("selector", [7, -1, "GPU-nope", "08:01.0", ""])
def test_a_selector_that_names_nothing_is_refused_with_what_there_is(selector):
    with pytest.raises(UnknownGpu, match=r"0 \(GPU-0, 00000000:07:00.0\)"):
        chosen(NODE, (selector,))


@pytest.mark.parametrize(
    ("device_id", "name", "key"),
    [
        ("0x000010DE", "NVIDIA A100-SXM4-80GB", "A100-80GB"),  # a board that the table does not know by its id
        ("0x20B210DE", "NVIDIA A100 of somebody", "A100-80GB"),
        ("0x20b210de", "", "A100-80GB"),
        ("0x233010DE", "NVIDIA A100-SXM4-80GB", "A100-80GB"),  # the driver's name counts before the id
        ("0x1EB810DE", "Tesla T4", None),
    ],
)
def test_a_product_is_known_by_its_name_and_by_its_device_id(device_id, name, key):
    found = geometry.find(device_id, name)
    assert (found and found.key) == key


def test_pci_bus_ids_have_one_form():
    assert pci_address("0000:AF:00.0") == pci_address("00000000:af:00.0") == "00000000:af:00.0"
    assert pci_address("GPU-1") is None


def test_all_passes_over_a_gpu_without_mig():
    assert sorted(wanted_gpus(NODE, [Entry("all", True, ONE)])) == [0, 1]
    assert sorted(wanted_gpus(NODE, [Entry("all", False)])) == [0, 1, 2]


def test_a_node_of_cards_without_mig_cannot_be_cut():
    with pytest.raises(UnknownGpu, match=r"no GPU of this node that has MIG; the node has Tesla T4"):
        wanted_gpus((t4(0),), [Entry("all", True, ONE)])
    assert wanted_gpus((t4(0),), [Entry("all", False)]) == {0: WantedGpu(False)}


def test_naming_a_gpu_without_mig_is_an_error():
    with pytest.raises(NotMigCapable, match=r"GPU 2 .*Tesla T4.*layouts.yml:4 names it"):
        wanted_gpus(NODE, [Entry((2,), True, ONE, source="layouts.yml:4")])


@pytest.mark.parametrize("text", ["0x20B210DE", "0x20b210de"])
def test_device_filter(text):
    assert sorted(wanted_gpus(NODE, [Entry("all", True, ONE, device_filter=(text,))])) == [0, 1]


def test_a_layout_that_selects_no_gpu_is_refused_with_what_there_is():
    with pytest.raises(UnknownGpu, match=r"selects no GPU of this node that has MIG; the node has .*0x20B210DE"):
        wanted_gpus(NODE, [Entry("all", True, ONE, device_filter=("0x233010DE",))])


def test_two_entries_that_disagree_on_a_gpu_are_refused():
    entries = [Entry("all", False, source="f:3"), Entry((1,), True, ONE, source="f:6")]
    with pytest.raises(BadRequest, match=r"f:3 and f:6 want different things of GPU 1"):
        wanted_gpus(NODE, entries)
    assert wanted_gpus(NODE, [Entry("all", False), Entry((1,), False)])


def test_a_gpu_that_tells_nothing_may_be_meant_by_any_filter_and_keeps_no_other_from_its_layout():
    lost = Gpu(1, error=Trouble("gpu_lost", "it fell off the bus"))
    entries = [
        Entry("all", True, ONE, device_filter=("0x20B210DE",)),
        Entry("all", False, device_filter=("0x233010DE",)),
    ]
    assert sorted(wanted_gpus((gpu(0), lost, t4(2)), entries)) == [0, 1]
    known = lost._replace(device_id="0x1EB810DE")
    assert sorted(wanted_gpus((gpu(0), known), entries)) == [0]
    assert sorted(wanted_gpus((gpu(0), lost), [Entry((1,), True, ONE)])) == [1]  # whether it has MIG is not known
    with pytest.raises(BadRequest, match="different things"):
        wanted_gpus((gpu(0), lost), [entries[0], Entry("all", False)])


CARD = A100.card
THREE = instance(CARD, "3g.40gb", 4, 2)


@pytest.mark.parametrize(
    ("now", "wanted", "expected"),
    [
        (gpu(instances=(THREE,)), (WantedInstance("3g.40gb"),), []),
        (
            gpu(instances=(THREE,)),
            (WantedInstance("3g.40gb", 0),),
            ["missing: 3g.40gb at slice 0", "not wanted: 3g.40gb at slice 4"],
        ),
        (gpu(instances=(THREE,)), (), ["not wanted: 3g.40gb at slice 4"]),
        (gpu(), (WantedInstance("3g.40gb"),), ["missing: 3g.40gb"]),
        (gpu(mig_current=False, mig_pending=False), (), ["MIG mode is disabled, wanted is enabled"]),
        (gpu(mig_pending=False), (), ["MIG mode disabled is pending: the GPU has not been reset"]),
        (
            gpu(instances=(THREE,)),
            (WantedInstance("3g.40gb", None, (WantedCompute("1c.3g.40gb"),)),),
            ["3g.40gb at slice 4 has compute instances of 3 slices, wanted are 1"],
        ),
        (
            gpu(instances=(THREE._replace(compute_instances=(THREE.compute_instances[0]._replace(uuid=None),)),)),
            (WantedInstance("3g.40gb"),),
            ["3g.40gb at slice 4: compute instance 0 has no usable MIG device"],
        ),
    ],
)  # fmt: skip
def test_differences(now, wanted, expected):
    found = differences(state(now), {0: WantedGpu(True, wanted)})
    assert found == [f"GPU 0 (GPU-0): {text}" for text in expected]


def test_a_particular_wish_is_served_before_one_that_anything_meets():
    one = WantedCompute("1c.3g.40gb")
    free = WantedInstance("3g.40gb", None, (one, one))
    pinned = WantedInstance("3g.40gb", None, (one._replace(start=0), one._replace(start=1)))
    node = gpu(
        instances=(instance(CARD, "3g.40gb", 0, 1, [(0, 1), (1, 1)]), instance(CARD, "3g.40gb", 4, 2, [(0, 1), (2, 1)]))
    )
    for wanted in ((free, pinned), (pinned, free)):
        assert plan(state(node), {0: WantedGpu(True, wanted)}) == []
        assert differences(state(node), {0: WantedGpu(True, wanted)}) == []


def test_each_wish_is_served_where_some_way_serves_them_all():
    one = WantedCompute("1c.3g.40gb")
    first = WantedInstance("3g.40gb", None, (one._replace(start=0), one))
    second = WantedInstance("3g.40gb", None, (one._replace(start=1), one))
    halves = [[(0, 1), (1, 1)], [(0, 1), (2, 1)]]
    for left, right in (halves, halves[::-1]):
        node = gpu(instances=(instance(CARD, "3g.40gb", 0, 1, left), instance(CARD, "3g.40gb", 4, 2, right)))
        for wanted in ((first, second), (second, first)):
            assert plan(state(node), {0: WantedGpu(True, wanted)}) == []
            assert differences(state(node), {0: WantedGpu(True, wanted)}) == []


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "at least one entry"),
        ({}, "at least one entry"),
        ([3], "entry 0 must be a mapping"),
        ([{"mig_enabled": 1}], "mig_enabled must be true or false"),
        ([{"mig_enabled": True, "instances": {}}], "instances must be a list"),
        ([{"mig_enabled": False, "instances": ["3g.40gb"]}], "mig_enabled is false"),
        ([{"mig_enabled": True, "instances": [{"profile": "19"}]}], "profile id"),
        ([{"mig_enabled": True, "instances": [{"profile": 9}]}], "must be a name"),
        ([{"mig_enabled": True, "instances": ["1c.3g.40gb"]}], "names a compute instance"),
        ([{"mig_enabled": True, "devices": [True]}], "no GPU index"),
        ([{"mig_enabled": True, "devices": "some"}], 'must be "all"'),
        ([{"mig_enabled": True, "device_filter": "0x1"}], "device_filter must be a list"),
        ([{"mig_enabled": True, "colour": 1}], "unknown key colour"),
        ([{"mig_enabled": True, "instances": [{"profile": "3g.40gb", "start": -1}]}], "start must be"),
        (
            [{"mig_enabled": True, "instances": [{"profile": "3g.40gb", "compute_instances": ["1c.2g.20gb"]}]}],
            "does not belong to a 3g.40gb",
        ),
    ],
)
def test_a_malformed_request_is_refused(entries, message):
    with pytest.raises(BadRequest, match=message):
        entries_from_json(entries)


def test_an_entry_survives_the_wire():
    entry = Entry(
        (0, "GPU-1"), True, (WantedInstance("3g.40gb", 4, (WantedCompute("1c.3g.40gb", 2),)),), ("0x1",), "f:1"
    )
    assert Entry.from_json(entry.to_json()) == entry
