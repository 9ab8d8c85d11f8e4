"""`migprov apply --check`: layouts planned on cards whose MIG mode is off, with the cards' own profiles."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import cuda
from .conftest import WHOLE, Comparisons, cut, migprov

Writer = Callable[..., Path]
Placed = list[tuple[str, int]]


def layouts(names: dict[int, str]) -> dict[str, tuple[Any, Placed]]:
    """Layouts that every GPU of seven slices can have, each with the only placement, or the one that is asked for."""
    one, two, three, four, seven = (names[slices] for slices in (1, 2, 3, 4, 7))
    return {
        "sevenths": ({one: 7}, [(one, start) for start in range(7)]),
        "halves": ({three: 2}, [(three, 0), (three, 4)]),
        "whole": ({seven: 1}, [(seven, 0)]),
        "mixed": ({four: 1, two: 1, one: 1}, [(four, 0), (two, 4), (one, 6)]),
        "pinned": (
            [{"profile": three, "start": 4}, {"profile": one, "start": 0}, {"profile": two, "start": 2}],
            [(one, 0), (two, 2), (three, 4)],
        ),
        "pinned to the other half": (
            [{"profile": one, "start": 6}, {"profile": three, "start": 0}],
            [(three, 0), (one, 6)],
        ),
        "nothing": ({}, []),
    }


@pytest.mark.parametrize(
    "which", ["sevenths", "halves", "whole", "mixed", "pinned", "pinned to the other half", "nothing"]
)
def test_a_layout(to: Comparisons, names: dict[int, str], write: Writer, gpus: list[Any], which: str) -> None:
    wanted, placed = layouts(names)[which]
    answer = migprov("apply", "--local", "--check", "--json", write(cut(wanted)), "it")
    to.same(f"{which}: exit code", answer.code, 0)
    if not to.same(f"{which}: refused", answer.refused, None):
        return
    for index, gpu in enumerate(gpus):
        steps = [step for step in answer.node["steps"] if step["gpu"] == index]
        of = f"{which}, GPU {index}: "
        expected = ["set_mig_mode", *["create_gpu_instance"] * len(placed), *["create_compute_instance"] * len(placed)]
        to.same(of + "steps", sorted(step["action"] for step in steps), sorted(expected))
        to.same(of + "first", (steps[0]["action"], steps[0]["enabled"]), ("set_mig_mode", True))
        to.same(of + "UUID", {step["uuid"] for step in steps}, {gpu.findtext("uuid")})
        made = [(s["profile"], s["start"]) for s in steps if s["action"] == "create_gpu_instance"]
        to.same(of + "places", sorted(made, key=lambda one: one[1]), placed)
        after = answer.node["after"]["gpus"][index]
        predicted = [(one["profile"], one["start"]) for one in after["instances"]]
        to.same(of + "predicted", (after["mig_current"], predicted), (True, placed))


def test_parts_of_an_instance(to: Comparisons, names: dict[int, str], write: Writer) -> None:
    three = names[3]
    inner = [f"1c.{three}", {"profile": f"2c.{three}", "start": 1}]
    entry = cut([{"profile": three, "start": 4, "compute-instances": inner}], [0])
    answer = migprov("apply", "--local", "--check", "--json", write(entry), "it")
    to.same("exit code", answer.code, 0)
    made = [step for step in answer.node["steps"] if step["action"] == "create_compute_instance"]
    found = sorted((step["ci_profile"], step["ci_start"]) for step in made)
    to.same("compute instances", found, [(f"1c.{three}", found[0][1]), (f"2c.{three}", 1)])
    to.same("on the first GPU alone", {step["gpu"] for step in answer.node["steps"]}, {0})


def test_devices_by_every_name(to: Comparisons, names: dict[int, str], write: Writer, gpus: list[Any]) -> None:
    last = gpus[-1]
    bus = str(last.get("id"))
    for name in (len(gpus) - 1, last.findtext("uuid"), bus, bus[4:], bus[9:]):
        answer = migprov("apply", "--local", "--check", "--json", write(cut({names[3]: 2}, [name])), "it")
        if to.same(f"{name}: exit code", answer.code, 0):
            to.same(f"{name}: GPUs", {step["uuid"] for step in answer.node["steps"]}, {last.findtext("uuid")})
    other = {**cut({names[3]: 2}), "device-filter": "0x20B210DE"}
    answer = migprov("apply", "--local", "--check", "--json", write(other), "it")
    if gpus[0].findtext("pci/pci_device_id") != "20B210DE":
        to.same("another product's layout: steps", answer.node["steps"], [])


def refused(names: dict[int, str]) -> dict[str, tuple[dict[str, Any], str]]:
    """Layouts that cannot be, with the code that says why."""
    two, three, four, seven = (names[slices] for slices in (2, 3, 4, 7))
    foreign = "3g.40gb" if three != "3g.40gb" else "3g.71gb"
    return {
        "two of the largest half": (cut({four: 2}), "layout_impossible"),
        "more than seven slices": (cut({four: 1, three: 1, names[1]: 1}), "layout_impossible"),
        "a whole card and more": (cut({seven: 1, names[1]: 1}), "layout_impossible"),
        "two in one place": (
            cut([{"profile": three, "start": 0}, {"profile": four, "start": 0}]),
            "layout_impossible",
        ),
        "no such place": (cut([{"profile": two, "start": 1}]), "layout_impossible"),
        "another card's profile": (cut({foreign: 1}), "unknown_profile"),
        "no such GPU": (cut({three: 1}, [99]), "unknown_gpu"),
    }


@pytest.mark.parametrize(
    "which",
    [
        *("two of the largest half", "more than seven slices", "a whole card and more", "two in one place"),
        *("no such place", "another card's profile", "no such GPU"),
    ],
)
def test_a_layout_that_cannot_be(to: Comparisons, names: dict[int, str], write: Writer, which: str) -> None:
    entry, code = refused(names)[which]
    answer = migprov("apply", "--local", "--check", "--json", write(entry), "it")
    to.same(f"{which}: exit code", answer.code, 2)
    to.same(f"{which}: code", answer.refused, code)
    to.same(f"{which}: steps", answer.node["steps"], [])
    print(f"        {(answer.node['error'] or {}).get('message')}")


def test_as_they_are(to: Comparisons, write: Writer) -> None:
    answer = migprov("apply", "--local", "--check", "--json", write(WHOLE), "it")
    to.same("MIG off: exit code", answer.code, 0)
    to.same("MIG off: steps, changed", (answer.node["steps"], answer.node["changed"]), ([], False))


def test_a_gpu_in_use(to: Comparisons, names: dict[int, str], write: Writer, gpus: list[ElementTree.Element]) -> None:
    with cuda.using(gpus[0].findtext("uuid") or "", 1024) as work:
        answer = migprov("apply", "--local", "--check", "--json", write(cut({names[3]: 2})), "it")
        to.same("in use: exit code, code", (answer.code, answer.refused), (2, "gpu_busy"))
        holders = (answer.node["error"] or {}).get("holders", [])
        to.same("in use: it names the process", work.pid in [one["pid"] for one in holders], True)
        others = {step["gpu"] for step in answer.node["steps"]}
        to.same("in use: the other GPUs get their layout", others, set(range(1, len(gpus))))
