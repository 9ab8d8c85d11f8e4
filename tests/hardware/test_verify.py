"""`migprov verify`, and CUDA on whole cards."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import migprov as package

from .conftest import WHOLE, Comparisons, cut, migprov

Writer = Callable[..., Path]


def test_a_layout_that_is_not_there(to: Comparisons, names: dict[int, str], write: Writer, gpus: list[object]) -> None:
    path = write(cut({names[3]: 2}))
    for more in ((), ("--cuda",)):
        answer = migprov("verify", "--local", "--json", *more, path, "it")
        to.same(f"verify {more}: exit code, code", (answer.code, answer.refused), (2, "not_as_wanted"))
        to.same(f"verify {more}: differences", len((answer.node["error"] or {}).get("differences", [])), len(gpus))


def test_whole_cards(to: Comparisons, write: Writer, gpus: list[ElementTree.Element]) -> None:
    path = write(WHOLE)
    answer = migprov("verify", "--local", "--json", path, "it")
    to.same("whole: exit code, failed", (answer.code, answer.node["failed"]), (0, False))
    told = migprov("verify", "--local", "--cuda", path, "it")
    to.same("whole, with CUDA: exit code", told.code, 0)
    to.same("whole, with CUDA: says so", f"as wanted, CUDA works on {len(gpus)} " in told.out, True)


def test_cuda_on_each_card(to: Comparisons, gpus: list[ElementTree.Element]) -> None:
    with package.local() as node:
        data = node.verify([{"devices": "all", "mig_enabled": False, "instances": []}], cuda=True).data["cuda"]
    to.same("devices", list(data), [gpu.findtext("uuid") for gpu in gpus])
    for index, one in enumerate(data.values()):
        to.same(f"GPU {index}: CUDA", (one["gpu"], one["result"]), (index, "ok"))
        print(f"        {one['message']}")
