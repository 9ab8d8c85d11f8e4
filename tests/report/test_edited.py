"""Files that somebody edited: whatever stands in the place of a value, it is told or refused, never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov.capacity.audit import audit
from migprov.capacity.explain import explanations
from migprov.capacity.model import FleetCard, Place, Workload
from migprov.capacity.plan_json import to_json
from migprov.capacity.planning import Options, of_cards
from migprov.capacity.sources.table import parse_text
from migprov.cli import output
from migprov.errors import BadRequest
from migprov.report import as_json, as_text, from_lines, from_plan
from migprov.report.model import Report
from migprov.report.page import page

WORKLOADS = (Workload("asr", 9000, runs_on=(Place("gpu1", 0),)),)
TABLE = "host,gpu,model,memory_peak_gib,samples,window_s,unit\ngpu1,0,NVIDIA A100-SXM4-80GB,9,100,3600,asr.service\n"


def _plan() -> dict[str, Any]:
    planned = of_cards(WORKLOADS, [FleetCard("gpu1", 0, "A30-24GB", price=2.0)], Options())
    return to_json(planned, explanations(planned.plan, planned.workloads))


def _info() -> dict[str, Any]:
    process = {"pid": 7, "command": "asr", "user": "me", "unit": None, "memory_mib": 300, "gi_id": 1, "kind": "compute"}
    half = {"gi_id": 1, "profile": "3g.40gb", "start": 0}
    gpu = {"index": 0, "uuid": "GPU-0", "name": "NVIDIA A100-SXM4-80GB", "product": "A100-80GB", "memory_mib": 81920}
    gpu |= {"memory_used_mib": 309, "mig_current": True, "instances": [half], "processes": [process], "error": None}
    return {
        "host": "gpu1",
        "failed": False,
        "error": None,
        "after": {"gpus": [gpu, {**gpu, "index": 1, "mig_current": False}]},
    }


def _told(report: Report) -> None:
    output.rendered(as_text.shown(report))
    json.dumps(as_json.to_json(report))
    page(report).encode()


def _edited(whole: Any) -> Iterator[str]:
    """The object with one value replaced, for each of its values."""
    for path in _paths(whole):
        for other in ("x", {"a": 1}):
            changed = copy.deepcopy(whole)
            place = changed
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = other
            yield json.dumps(changed)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from _paths(each, (*path, key))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["plan", "info", "audit"])
def test_every_value_edited(kind: str, tmp_path: Path) -> None:
    given = {"plan": _plan, "info": _info, "audit": lambda: audit(parse_text(TABLE, "t")).findings[0].to_json()}[kind]()
    whole, file = tmp_path / "whole", tmp_path / "edited"
    whole.write_text(json.dumps(given))
    refused = 0
    for text in (json.dumps(given), *_edited(given)):
        file.write_text(text)
        try:
            _told(from_plan.report(file, WORKLOADS) if kind == "plan" else from_lines.report(whole, file, price=2.0))
        except BadRequest:
            refused += 1
    assert refused
