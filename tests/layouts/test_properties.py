"""Properties that hold for every file: valid ones mean what they say, others raise one kind of error."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from migprov.layouts import LayoutError, loads
from migprov.layouts.packing import first_fit_decreasing

NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,15}", fullmatch=True)
PROFILES = st.sampled_from(["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb", "2g.48gb-me"])
COUNTS = st.dictionaries(PROFILES, st.integers(0, 7), max_size=4)
STARTS = st.one_of(st.none(), st.integers(0, 7))
INSTANCES = st.lists(st.tuples(PROFILES, STARTS), max_size=5)
UUIDS = st.uuids().map(lambda uuid: f"GPU-{uuid}")
DEVICES = st.one_of(st.just("all"), st.lists(st.one_of(st.integers(0, 15), UUIDS), min_size=1, max_size=4, unique=True))
FILTERS = st.one_of(st.none(), st.lists(st.integers(1, 0xFFFF), min_size=1, max_size=3))


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    entry: dict[str, Any] = {"devices": draw(DEVICES), "mig-enabled": draw(st.booleans())}
    filters = draw(FILTERS)
    if filters is not None:
        entry["device-filter"] = [f"0x{number:04X}10DE" for number in filters]
    if not entry["mig-enabled"]:
        return entry
    if draw(st.booleans()):
        entry["mig-devices"] = draw(COUNTS)
    else:
        entry["mig-devices"] = [
            {"profile": profile} if start is None else {"profile": profile, "start": start}
            for profile, start in draw(INSTANCES)
        ]
    return entry


DOCUMENTS = st.builds(
    lambda configs: {"version": "v1", "mig-configs": configs},
    st.dictionaries(NAMES, st.lists(entries(), min_size=1, max_size=1), min_size=1, max_size=3),
)


def wanted_instances(entry: dict[str, Any]) -> Counter[tuple[str, int | None]]:
    devices = entry.get("mig-devices", {})
    if isinstance(devices, dict):
        return Counter({(profile, None): count for profile, count in devices.items() if count})
    return Counter((item["profile"], item.get("start")) for item in devices)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.booleans(), st.booleans())
def test_a_valid_file_means_what_it_says(document: dict[str, Any], flow: bool, as_json: bool) -> None:
    text = json.dumps(document) if as_json else yaml.safe_dump(document, default_flow_style=flow, sort_keys=False)
    layouts = loads(text)
    assert list(layouts.names) == list(document["mig-configs"])
    for name, written in document["mig-configs"].items():
        for entry, read in zip(written, layouts.layout(name).entries, strict=True):
            devices = entry["devices"]
            assert read.devices == (devices if devices == "all" else tuple(devices))
            assert read.mig_enabled is entry["mig-enabled"]
            assert (read.device_filter or ()) == tuple(entry.get("device-filter", ()))
            assert Counter((gi.profile, gi.start) for gi in read.instances) == wanted_instances(entry)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_bytes_are_read_or_refused(data: str | bytes) -> None:
    try:
        loads(data)
    except LayoutError as error:
        assert str(error)


WORDS = """
version v1 mig-configs devices all mig-enabled true false mig-devices 3g.40gb 19 -1 0x20B210DE
profile start count compute-instances 1c.3g.40gb ~ << { } [ ] *a ' " ?
"""
PIECES = [*WORDS.split(), ": ", "\n", "\n  ", "\n    - ", ", ", "&a ", "!!int ", "!!map ", "|\n"]
FRAGMENTS = st.lists(st.sampled_from(PIECES), max_size=40)


@settings(max_examples=300, deadline=None)
@given(FRAGMENTS.map("".join))
def test_any_pieces_of_yaml_are_read_or_refused(text: str) -> None:
    try:
        loads(text)
    except LayoutError as error:
        assert str(error)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["all", "v1"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["devices", "mig-enabled", "mig-devices", "device-filter", "profile", "3g.40gb", "a"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_values_in_the_right_place_are_read_or_refused_with_a_line(value: Any) -> None:
    text = json.dumps({"version": "v1", "mig-configs": {"a": value}}, indent=1)
    try:
        loads(text)
    except LayoutError as error:
        lines = len(text.splitlines())
        assert all(1 <= problem.line <= lines for problem in error.problems if "not YAML" not in problem.message)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 6), max_size=12), st.integers(6, 7))
def test_packing_loses_nothing_and_overfills_nothing(sizes: list[int], capacity: int) -> None:
    bins = first_fit_decreasing(sizes, capacity)
    assert sorted(size for bin_ in bins for size in bin_) == sorted(sizes)
    assert all(0 < sum(bin_) <= capacity for bin_ in bins)
    # no two bins that are half full or less: the guarantee of first fit
    assert sum(2 * sum(bin_) <= capacity for bin_ in bins) <= 1
