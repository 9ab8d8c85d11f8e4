"""A node's state as a layout file: it says exactly what is, and reads back as that."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from migprov.errors import BadRequest
from migprov.layouts import export, export_many, loads
from migprov.mig import geometry
from migprov.mig.names import compute_instance_name
from migprov.mig.wanted import Entry, WantedCompute, WantedInstance

A100 = next(product.card for product in geometry.products() if product.key == "A100-80GB")


def gpu(index: int, instances: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    mig = instances is not None
    base = {"uuid": f"GPU-{index}", "name": "NVIDIA A100-SXM4-80GB", "error": None, "mig_capable": True}
    modes = {"mig_current": mig, "mig_pending": mig}
    return {"index": index, **base, **modes, "instances": instances or [], **fields}


def instance(profile: str, start: int, computes: list[tuple[str, int | None]] | None = None) -> dict[str, Any]:
    inside = [(profile, 0)] if computes is None else computes
    cis = [{"ci_id": n, "profile": name, "start": at, "size": 1, "uuid": "MIG-"} for n, (name, at) in enumerate(inside)]
    return {"gi_id": 1, "profile": profile, "profile_id": 0, "start": start, "size": 1, "compute_instances": cis}


def state(*gpus: dict[str, Any]) -> dict[str, Any]:
    return {"driver_version": "580.1", "gpus": list(gpus)}


def entries(text: str, name: str = "current") -> list[Entry]:
    return [entry._replace(source="") for entry in loads(text).layout(name).entries]


def test_gpus_that_are_cut_alike_share_an_entry() -> None:
    halves = [instance("3g.40gb", 4), instance("3g.40gb", 0)]
    text = export(state(gpu(0), gpu(1, halves), gpu(2), gpu(3, halves), gpu(4, [])))
    assert entries(text) == [
        Entry((0, 2), False),
        Entry((1, 3), True, (WantedInstance("3g.40gb", 0), WantedInstance("3g.40gb", 4))),
        Entry((4,), True),
    ]


def test_compute_instances_are_kept_where_they_are_not_the_default() -> None:
    parts = instance("3g.40gb", 4, [("2c.3g.40gb", 1), ("1c.3g.40gb", 0)])
    nothing = instance("2g.20gb", 0, [])
    unknown = instance("2g.20gb", 2, [("1c.2g.20gb", None)])
    (entry,) = entries(export(state(gpu(0, [parts, nothing, unknown]))))
    assert entry.instances == (
        WantedInstance("2g.20gb", 0, ()),
        WantedInstance("2g.20gb", 2, (WantedCompute("1c.2g.20gb"),)),
        WantedInstance("3g.40gb", 4, (WantedCompute("1c.3g.40gb", 0), WantedCompute("2c.3g.40gb", 1))),
    )


def test_what_cannot_be_exported_is_said() -> None:
    lost = gpu(1, error={"code": "gpu_lost", "message": "fell off\nthe bus"})
    text = export(state(gpu(0), lost, gpu(2, mig_capable=False, name="Tesla T4"), gpu(3, mig_pending=True)))
    assert "# GPU 1: NVIDIA A100-SXM4-80GB, GPU-1; left out: fell off the bus" in text
    assert "# GPU 2: Tesla T4, GPU-2; left out: it has no MIG" in text
    assert "# GPU 3: NVIDIA A100-SXM4-80GB, GPU-3; MIG mode enabled is pending a reset" in text
    assert entries(text) == [Entry((0, 3), False)]
    with pytest.raises(BadRequest, match="no GPU with MIG"):
        export(state(lost))


@pytest.mark.parametrize("name", ["y", "N", "no", "08", "1e3"])
def test_a_name_is_a_text_for_every_reader(name: str) -> None:
    assert f'  "{name}":\n' in export(state(gpu(0)), name)


def test_many_nodes_in_one_file() -> None:
    states = {
        "gpu-1.example.org": state(gpu(0, [instance("7g.80gb", 0)])),
        "10.0.0.7": state(gpu(0)),
        "no": state(gpu(0)),
        "t4": state(gpu(0, mig_capable=False)),
    }
    text = export_many(states)
    assert loads(text).names == ("gpu-1.example.org", "10.0.0.7", "no")
    assert list(yaml.safe_load(text)["mig-configs"]) == ["gpu-1.example.org", "10.0.0.7", "no"]
    assert "# t4 is left out" in text
    with pytest.raises(BadRequest, match="t4: there is no GPU"):
        export_many({"t4": states["t4"]})


def test_compatible_counts() -> None:
    cut = [instance("3g.40gb", 4, [("1c.3g.40gb", 0), ("2c.3g.40gb", 1)]), instance("1g.10gb+me", 0)]
    text = export(state(gpu(0, [*cut, instance("1g.10gb", 1), instance("1g.10gb", 2)])), compatible=True)
    counts = {"1g.10gb+me": 1, "1g.10gb": 2, "1c.3g.40gb": 1, "2c.3g.40gb": 1}
    assert yaml.safe_load(text)["mig-configs"]["current"] == [
        {"devices": [0], "mig-enabled": True, "mig-devices": counts}
    ]


@pytest.mark.parametrize(
    "cut",
    [
        [instance("3g.40gb", 0, [("1c.3g.40gb", 0)]), instance("3g.40gb", 4, [("1c.3g.40gb", 0)])],
        [instance("3g.40gb", 0, [])],
    ],
    ids=["sharing", "none inside"],
)
def test_counts_that_would_say_something_else_are_refused(cut: list[dict[str, Any]]) -> None:
    with pytest.raises(BadRequest, match="GPU 0: counts cannot say"):
        export(state(gpu(0, cut)), compatible=True)


@st.composite
def cuts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Instances at places that the card has; whether they fit together is not a matter of files."""
    places = [(profile, start) for profile in A100.profiles for start in profile.starts]
    chosen = draw(st.lists(st.sampled_from(places), max_size=7, unique_by=lambda place: place[1]))
    media = [place for place in chosen if place[0].suffix == "+me"]
    made = []
    for profile, start in chosen:
        if (profile, start) in media[1:]:
            continue
        # NVML knows no compute instance of five slices.
        known = [size for size in (1, 2, 3, 4, 6, 7) if size <= profile.slices]
        sizes = draw(st.lists(st.sampled_from(known), max_size=3))
        computes: list[tuple[str, int | None]] = []
        used = 0
        for size in sizes:
            if used + size <= profile.slices:
                computes.append((compute_instance_name(size, profile.slices, profile.name), used))
                used += size
        made.append(instance(profile.name, start, draw(st.sampled_from([None, computes]))))
    return made


def expected(made: list[dict[str, Any]]) -> Counter[WantedInstance]:
    found: Counter[WantedInstance] = Counter()
    for gi in made:
        inside = tuple(WantedCompute(ci["profile"], ci["start"]) for ci in gi["compute_instances"])
        default = [ci.profile for ci in inside] == [gi["profile"]]
        found[WantedInstance(gi["profile"], gi["start"], None if default else inside)] += 1
    return found


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.none(), cuts()), min_size=1, max_size=4), st.text(min_size=1, max_size=12))
def test_an_export_reads_back_as_the_state(gpus: list[list[dict[str, Any]] | None], name: str) -> None:
    text = export(state(*(gpu(index, made) for index, made in enumerate(gpus))), "n" + name)
    read = {index: entry for entry in entries(text, "n" + name) for index in entry.devices}
    assert sorted(read) == list(range(len(gpus)))
    for index, made in enumerate(gpus):
        assert read[index].mig_enabled is (made is not None)
        assert Counter(read[index].instances) == expected(made or [])
