"""What `possible` says of a layout and a product is what a node with such GPUs does, made or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from migprov.layouts import LayoutError, loads, possible, product
from migprov.mig.names import compute_instance_name
from migprov.sim.driver import SimNode

from .node_program import NodeProgram, node_program

PRODUCTS = ("A30-24GB", "A100-40GB", "A100-80GB", "H200-141GB", "RTX-PRO-6000-BLACKWELL-96GB")
OTHER = ["0x20B010DE", "0x20B210DE"]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SimNode]:
    folder = tmp_path_factory.mktemp("possible")
    return {key: SimNode.create(folder / key, f"2x{key}") for key in PRODUCTS}


@pytest.fixture(scope="module")
def program(nodes: dict[str, SimNode]) -> Iterator[NodeProgram]:
    with node_program(nodes[PRODUCTS[0]]) as started:
        yield started


@st.composite
def instances(draw: st.DrawFn, key: str) -> Any:
    """Mostly what the product has, in numbers and at starts that often fit."""
    profiles = [*product(key).card.profiles, *product("A100-80GB").card.profiles[:1]]
    if draw(st.booleans()):
        names = st.sampled_from([each.name for each in profiles])
        return draw(st.dictionaries(names, st.integers(0, 4), max_size=3))
    chosen = draw(st.lists(st.sampled_from(profiles), max_size=3))
    found = []
    for profile in chosen:
        one: dict[str, Any] = {"profile": profile.name}
        if draw(st.booleans()):
            one["start"] = draw(st.sampled_from([*profile.starts, *profile.starts, 1]))
        if draw(st.booleans()):
            sizes = draw(st.lists(st.integers(1, min(profile.slices, 4)), max_size=3))
            one["compute-instances"] = [compute_instance_name(size, profile.slices, profile.name) for size in sizes]
        found.append(one)
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str]:
    """A product, and a layout file for it."""
    key = draw(st.sampled_from(PRODUCTS))
    entries = []
    lists: list[list[Any]] = [["all"], [[0]], [[0], [1]], [[1], [0]]]
    for devices in draw(st.sampled_from(lists)):
        entry = {"devices": devices, "mig-enabled": True, "mig-devices": draw(instances(key))}
        own = [f"{short}10DE" for short in product(key).device_ids]
        if filters := draw(st.sampled_from([[], [], own, OTHER])):
            entry["device-filter"] = filters
        entries.append(entry)
    return key, str(yaml.safe_dump({"version": "v1", "mig-configs": {"it": entries}}))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_the_verdict_is_what_the_node_does(
    nodes: dict[str, SimNode], program: NodeProgram, case: tuple[str, str]
) -> None:
    key, text = case
    try:
        layout = loads(text).layout("it")
    except LayoutError:
        return  # wrong on every GPU
    verdict = possible(layout, product(key))
    event("made" if verdict.possible else "refused" if verdict.device_ids else "not meant")
    writes = nodes[key].write_count()
    reply = program.ask(nodes[key], "layout", entries=layout.to_json())
    if verdict.possible:
        assert reply["error"] is None, reply["error"]
        assert program.ask(nodes[key], "verify", entries=layout.to_json())["error"] is None
        return
    assert nodes[key].write_count() == writes
    assert reply["error"] is not None
    if verdict.device_ids:
        # A card lists what it has in an order of its own.
        reasons = [each.message.partition("; it has ")[0] for each in verdict.problems]
        assert any(reason in reply["error"]["message"] for reason in reasons), reply["error"]
    else:
        assert reply["error"]["message"].startswith("the layout selects no GPU of this node")
