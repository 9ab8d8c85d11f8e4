"""What a task of the collection returned against what its module's RETURN documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

OURS = "migprov.gpu."
_PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
_TYPES: dict[str, Any] = {"dict": dict, "list": list, "str": str, "int": int, "float": (int, float), "bool": bool}
# What Ansible itself puts there, for any module.
_ANSIBLES = {"changed", "failed", "msg", "diff", "warnings", "deprecations", "exception", "attempts", "retries"}
_ANSIBLES |= {"failed_when_result", "failed_when_suppressed_exception", "item", "ansible_loop_var", "timedout"}


@cache
def documented(module: str) -> dict[str, Any]:
    """RETURN of a module of this collection."""
    # The stub below the texts wants to be part of the collection; the texts alone are enough.
    text = (_PLUGINS / "modules" / f"{module}.py").read_text()
    names: dict[str, Any] = {}
    exec(compile(text.partition("\nfrom ..")[0], module, "exec"), names)
    found: dict[str, Any] = yaml.safe_load(names["RETURN"])
    return found


def untrue(action: str, status: str, result: Mapping[str, Any]) -> list[str]:
    """How the result of a task differs from what RETURN says of it, as sentences."""
    if not action.startswith(OURS) or status in ("skipped", "unreachable") or "censored" in result:
        return []
    if "results" in result and "ansible_loop_var" in str(result["results"]):
        return [said for one in result["results"] for said in untrue(action, _status(one), one)]
    known = documented(action.removeprefix(OURS))
    given = {key: value for key, value in result.items() if key not in _ANSIBLES and not key.startswith("_")}
    found = [f"{action}: {key} is not documented" for key in given.keys() - known.keys()]
    expected = "failure" if status == "failed" else "success"
    if not _ended_by_ansible(result):
        found += [
            f"{action}: {key} is missing on {expected}"
            for key, one in known.items()
            if one["returned"] == expected and key not in given
        ]
    for key in given.keys() & known.keys():
        found += _untrue(f"{action}: {key}", given[key], known[key])
    return found


def _status(result: Mapping[str, Any]) -> str:
    return "failed" if result.get("failed") else "skipped" if result.get("skipped") else "ok"


def _ended_by_ansible(result: Mapping[str, Any]) -> bool:
    """Before the plugin had a say (an undefined variable), by a time limit, or by the task's own failed_when."""
    return str(result.get("msg", "")).startswith("Task failed: ") or "failed_when_result" in result


def _untrue(where: str, value: Any, said: Mapping[str, Any]) -> Iterator[str]:
    if value is None:
        return  # not known, or not there
    if not isinstance(value, _TYPES[said["type"]]):
        yield f"{where} is no {said['type']}: {value!r}"
        return
    many = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not all(isinstance(one, _TYPES[said["elements"]]) for one in value):
        yield f"{where} are not each {said['elements']}: {value!r}"
    elif "contains" in said:
        for one in many:
            yield from (f"{where}.{key} is not documented" for key in one.keys() - said["contains"].keys())
            for key in one.keys() & said["contains"].keys():
                yield from _untrue(f"{where}.{key}", one[key], said["contains"][key])
