"""RETURN of the modules: the check that every play of the tests goes through, and parts that are to say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .returns import documented, untrue

MODULES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "plugins" / "modules").glob("*.py"))
READ = {"changed": False, "driver_version": "580.159.04", "summary": [], "gpus": []}
ERROR = {"code": "gpu_busy", "message": "busy", "gpu": 1, "next": "", "holders": [], "undone": [], "differences": []}
UNTRUE: dict[str, tuple[str, dict[str, Any], str]] = {
    "one more": ("ok", {**READ, "more": 1}, "more is not documented"),
    "one less": ("ok", {key: READ[key] for key in ("changed", "gpus", "summary")}, "driver_version is missing"),
    "another type": ("ok", {**READ, "summary": "text"}, "summary is no list"),
    "other elements": ("ok", {**READ, "gpus": ["text"]}, "gpus are not each dict"),
    "inside": ("ok", {**READ, "gpus": [{"index": 0, "more": 1}]}, "gpus.more is not documented"),
    "inside, another type": ("ok", {**READ, "gpus": [{"index": "0"}]}, "gpus.index is no int"),
    "in a loop": ("ok", {"results": [{"ansible_loop_var": "item", **READ, "more": 1}]}, "more is not documented"),
    "a failure without error": ("failed", {"failed": True, "msg": "busy"}, "error is missing"),
}


@pytest.mark.parametrize("case", UNTRUE)
def test_what_return_does_not_say_is_found(case: str) -> None:
    status, result, said = UNTRUE[case]
    (found,) = untrue("migprov.gpu.mig_info", status, result)
    assert said in found


def test_what_return_says_is_true() -> None:
    assert untrue("migprov.gpu.mig_info", "ok", {**READ, "diff": {}, "warnings": []}) == []
    assert untrue("migprov.gpu.mig_info", "failed", {"failed": True, "msg": "busy", "error": ERROR}) == []
    assert untrue("ansible.builtin.command", "ok", {"more": 1}) == []


CHANGING = {"gpu_drain", "gpu_reset", "mig_instances", "mig_layout", "mig_mode", "mig_rollback"}
ON_GPUS = {name for name in MODULES if name.startswith(("gpu_", "mig_"))}
IN_KUBERNETES = {name for name in MODULES if name.startswith("k8s_")}
SHARED = [
    *((key, CHANGING) for key in ("before", "after", "steps", "planned", "gpus", "lock")),
    ("interrupted", {*CHANGING, "mig_info", "mig_verify"}),
    ("error", ON_GPUS),
    ("error", IN_KUBERNETES),
    *((key, {"k8s_mig_manager", "k8s_node"}) for key in ("node", "before", "after", "steps")),
]


@pytest.mark.parametrize(("key", "modules"), SHARED)
def test_what_several_modules_return_is_described_in_the_same_words(key: str, modules: set[str]) -> None:
    """Doc fragments carry no RETURN, so the text stands in each of them; a sample may differ."""
    first, *others = sorted(modules)
    words = {name: {**documented(name)[key], "sample": None} for name in (first, *others)}
    assert {name: words[name] for name in others} == dict.fromkeys(others, words[first])
