"""On which products a layout can be made: the verdict, its words, and which entries count."""

from __future__ import annotations

import pytest

from migprov.errors import BadRequest
from migprov.layouts import Layout, loads, possible, product, product_names
from migprov.mig import geometry

A100 = "A100-80GB"
IDS = {each.key: [f"{short}10DE" for short in each.device_ids] for each in geometry.products()}
HALVES = "{3g.40gb: 2}"


def layout(*entries: str) -> Layout:
    """The layout of these entries; the first stands on line 4."""
    text = "version: v1\nmig-configs:\n  it:\n" + "".join(f"    - {entry}\n" for entry in entries)
    return loads(text, "layouts.yml").layout("it")


def entry(instances: str, devices: str = "all", filters: str = "") -> str:
    only = f", device-filter: [{filters}]" if filters else ""
    return f"{{devices: {devices}, mig-enabled: true, mig-devices: {instances}{only}}}"


NOT_POSSIBLE = {
    "no such profile": (
        entry(HALVES), "A100-40GB", 4, "A100-40GB has no profile 3g.40gb", "Did you mean 3g.20gb?"
    ),
    "none of that many slices": (entry("{3g.40gb: 1}"), "A30-24GB", 4, "no profile 3g.40gb", "Did you mean 4g.24gb?"),
    "the nearer of two": (entry("{1g.5gb: 1}"), "B200-180GB", 4, "no profile 1g.5gb", "Did you mean 1g.23gb?"),
    "media extensions": (entry("{1g.5gb+me: 1}"), A100, 4, "no profile 1g.5gb+me", "Did you mean 1g.10gb+me?"),
    "too many": (
        entry("{4g.40gb: 2}"), A100, 4,
        "at most 1 of 4g.40gb fit on a GPU, 2 are wanted; the largest part that fits is 4g.40gb",
        "Ask for what fits, or move an instance to another GPU.",
    ),
    "no room": (entry("{3g.40gb: 2, 1g.10gb: 1}"), A100, 4, "their memory slices overlap (8 slices)", "Ask for what"),
    "no such start": (
        entry("[{profile: 3g.40gb, start: 2}]"), A100, 4, "3g.40gb cannot start at memory slice 2; it can at 0, 4",
        "Choose one of these starts, or leave the start out.",
    ),
    "compute instances": (
        entry("[{profile: 4g.40gb, compute-instances: {3c.4g.40gb: 1}}]"), A100, 4,
        "a 4g.40gb has no compute instances of 3 slices, only of 1, 2, 4", "Choose one of these sizes.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_POSSIBLE)
def test_why_not(case: str) -> None:
    text, on, line, message, hint = NOT_POSSIBLE[case]
    verdict = possible(layout(text), product(on))
    assert (verdict.possible, verdict.layout, verdict.product) == (False, "it", on)
    (problem,) = verdict.problems
    assert (problem.path, problem.line) == ("layouts.yml", line)
    assert message in problem.message
    assert hint in problem.hint
    assert str(problem).startswith(f"layouts.yml:{line}: {problem.message}. ")


@pytest.mark.parametrize(
    ("text", "on"),
    [
        (entry(HALVES), A100),
        (entry("{}"), "A30-24GB"),
        ("{devices: all, mig-enabled: false}", "A30-24GB"),
        (entry("{1c.3g.40gb: 4}"), A100),
        (entry("[{profile: 3g.40gb, start: 4, count: 1}, 4g.40gb]"), A100),
        (entry(HALVES, devices="[0, 1023, GPU-7030bb98-b204-53b4-89e5-8d26bf2de25e, '07:00.0']"), A100),
        (entry("{1g.24gb: 7}"), "GB200-186GB"),  # a name that other drivers give the profile
        (entry("{2g.48gb+me.all: 1, 2g.48gb-me: 1}"), "RTX-PRO-6000-BLACKWELL-96GB"),
    ],
)
def test_what_can_be_made(text: str, on: str) -> None:
    verdict = possible(layout(text), product(on))
    assert (verdict.problems, verdict.possible, list(verdict.device_ids)) == ((), True, IDS[on])


def test_every_entry_that_cannot_be_is_named() -> None:
    verdict = possible(
        layout(entry(HALVES, "[1]"), entry("{7g.80gb: 2}", "[0]"), entry("{3g.20gb: 1}", "[2]")), product(A100)
    )
    assert [(each.line, each.message.partition(" ")[0]) for each in verdict.problems] == [(5, "7g.80gb"), (6, A100)]


def test_device_filters_decide_which_entries_count() -> None:
    both = layout(
        entry(HALVES, filters=", ".join(IDS[A100])), entry("{3g.20gb: 2}", filters=", ".join(IDS["A100-40GB"]))
    )
    assert possible(both, product(A100)).possible
    assert possible(both, product("A100-40GB")).possible
    verdict = possible(both, product("A30-24GB"))
    assert (verdict.possible, verdict.device_ids) == (False, ())
    (problem,) = verdict.problems
    assert problem.line == 4
    assert problem.message.startswith("no entry of layout 'it' is for A30-24GB: their device-filter names 0x20B210DE, ")
    assert problem.hint == "It is 0x20B710DE."


def test_a_filter_for_some_boards_of_a_product() -> None:
    verdict = possible(layout(entry(HALVES, filters="0x20B510DE")), product(A100))
    assert (verdict.possible, verdict.device_ids) == (True, ("0x20B510DE",))
    # the other boards have an entry of their own, and that one cannot be
    rest = ", ".join(each for each in IDS[A100] if each != "0x20B510DE")
    verdict = possible(layout(entry(HALVES, filters="0x20B510DE"), entry("{7g.80gb: 2}", filters=rest)), product(A100))
    assert (list(verdict.device_ids), [each.line for each in verdict.problems]) == (IDS[A100], [5])


@pytest.mark.parametrize(
    ("name", "key"),
    [("A100-80GB", A100), (" a100-80gb ", A100), ("NVIDIA A100 80GB PCIe", A100), ("nvidia h200", "H200-141GB")],
)
def test_a_product_by_its_names(name: str, key: str) -> None:
    assert product(name).key == key
    assert key in product_names()


@pytest.mark.parametrize(("name", "near"), [("A100", "A100-40GB, A100-80GB"), ("nonsense", "A30-24GB, "), ("", "A30")])
def test_an_unknown_product_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(BadRequest) as caught:
        product(name)
    assert caught.value.next is not None
    assert near in caught.value.next
