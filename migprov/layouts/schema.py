"""The JSON Schema of layout files, and its errors in words with lines."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from migprov.mig.names import BadProfileName, parse

from .document import Node
from .errors import Problem
from .words import nearest, shown

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

PATH = "layout.schema.json"
MOST_PROBLEMS = 20
"""Problems reported of one file; after so many it is a file of another kind."""

_ENTRY_KEYS = frozenset({"devices", "device-filter", "mig-enabled", "mig-devices"})
_KIND_KEYWORDS = frozenset({"type", "const", "enum"})


def text() -> str:
    """The JSON Schema (draft 2020-12) as it stands in the package."""
    return files(__package__).joinpath(PATH).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # takes 0.1 s to load; only those who read a file pay it

    return Draft202012Validator(json.loads(text()))


def problems(root: Node, source: str) -> list[Problem]:
    """What the schema finds wrong in a document, in the order of the file; at most ``MOST_PROBLEMS``."""
    found: list[Problem] = []
    for error in _validator().iter_errors(root.plain()):
        found.extend(problem for leaf in leaves(error) for problem in _problems(leaf, root, source))
        if len(found) > MOST_PROBLEMS:
            break
    unique = sorted(dict.fromkeys(found), key=lambda problem: problem.line)
    return unique[:MOST_PROBLEMS]


def leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Of a choice that failed, the errors of the alternative of the value's own kind; else the choice."""
    if error.validator != "anyOf":
        yield error
        return
    branches = _branches(error)
    fitting = [inner for inner in branches if not any(_wrong_kind(leaf) for leaf in inner)]
    if len(fitting) != 1 or any(inner.validator == "pattern" for inner in fitting[0]):
        yield error  # the words for the choice say more than a regular expression
        return
    for inner in fitting[0]:
        yield from leaves(inner)


def _branches(error: ValidationError) -> list[list[ValidationError]]:
    """The errors of each alternative of a choice."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    return list(branches.values())


def _wrong_kind(error: ValidationError) -> bool:
    """The value itself, not something inside it, is of another kind than this alternative wants."""
    if error.relative_path:
        return False
    if error.validator == "anyOf":
        return all(any(_wrong_kind(leaf) for leaf in inner) for inner in _branches(error))
    return error.validator in _KIND_KEYWORDS


def _problems(error: ValidationError, root: Node, source: str) -> Iterator[Problem]:
    path = list(error.absolute_path)
    node, key_line = locate(root, path)
    name = _name(path)
    schema: Any = error.schema
    wanted = schema.get("description") or shown(error.message)
    if error.validator == "additionalProperties":
        for key, item in node.items().items():
            if key not in schema["properties"]:
                hint = nearest(key, schema["properties"])
                yield Problem(source, item.key_line, f"unknown key {shown(key)} in {name}", hint)
    elif error.validator == "required":
        for key in schema["required"]:
            if key not in node.items() and not _misspelt(key, node):
                yield Problem(source, node.line, f"{name} has no {key}", _missing_hint(key))
    elif type(error.instance) is int and "profile name" in wanted:
        yield Problem(source, node.line, _id_text(error.instance))
    else:
        message = f"{name} must be {wanted}, not {shown(error.instance)}"
        line = node.line if node.text else key_line
        yield Problem(source, line, message, _value_hint(error, path))


def _misspelt(key: str, node: Node) -> bool:
    """A key that is missing because it is misspelt is reported once, as an unknown key."""
    unknown = [other for other in node.items() if other not in _ENTRY_KEYS]
    return bool(difflib.get_close_matches(key, unknown, n=1, cutoff=0.6))


def locate(root: Node, path: Sequence[str | int]) -> tuple[Node, int]:
    """The node at a path and the line of its key (of the element itself in a list)."""
    node, key_line = root, root.line
    for step in path:
        if isinstance(step, int):
            node = node.elements()[step]
            key_line = node.line
        else:
            item = node.items()[step]
            node, key_line = item.node, item.key_line
    return node, key_line


def _name(path: Sequence[str | int]) -> str:
    """The words for a place: ``devices``, ``entry 2 of layout 'speech'``, ``the count of 3g.40gb``."""
    if not path:
        return "the file"
    if len(path) == 1:
        return str(path[0])
    if len(path) == 2:
        return f"layout {shown(path[1])}"
    if len(path) == 3 and isinstance(path[2], int):
        return f"entry {path[2] + 1} of layout {shown(path[1])}"
    last = path[-1]
    if isinstance(last, int):
        return f"element {last + 1} of {path[-2]}"
    if path[-2] in ("mig-devices", "compute-instances"):
        return f"the count of {last}"
    return str(last)


def _missing_hint(key: str) -> str:
    return {
        "version": "Write version: v1.",
        "mig-configs": "Name at least one layout under mig-configs.",
        "devices": "Write devices: all, or a list such as [0, 1].",
        "mig-enabled": "Write mig-enabled: true or mig-enabled: false.",
        "mig-devices": "Write mig-devices: {} for MIG mode without instances.",
        "profile": "Name a profile such as 3g.40gb.",
    }.get(key, "")


def _value_hint(error: ValidationError, path: Sequence[str | int]) -> str:
    value, key = error.instance, path[-1] if path else None
    if key == "version":
        return "Write version: v1."
    if key == "devices" and not isinstance(value, list):
        return _devices_hint(value)
    if len(path) > 1 and path[-2] == "devices" and isinstance(value, str):
        return _device_hint(value)
    if "device-filter" in path and isinstance(value, str):
        return _filter_hint(value)
    if key == "mig-devices" and value is None:
        return "Write {} for MIG mode without instances."
    if key == "mig-enabled" and isinstance(value, str):
        return nearest(value.lower(), ["true", "false"])
    if key == "mig-devices" and error.validator_value == 0:
        return "Set mig-enabled: true, or drop mig-devices."
    return ""


def _devices_hint(value: Any) -> str:
    if isinstance(value, str) and difflib.get_close_matches(value.lower(), ["all"]):
        return "Did you mean all?"
    single = isinstance(value, str | int) and not isinstance(value, bool)
    return f"Write [{value}] for one GPU." if single and value != "" else "Write all for every GPU."


def _device_hint(value: str) -> str:
    if value.isdecimal():
        return f"Write {value} without quotes."
    if value.upper().startswith("MIG-"):
        return "That is the UUID of a MIG device; name the GPU that holds it."
    if value == "all":
        return "Write devices: all, without the list."
    return "nvidia-smi -L prints indices and UUIDs."


def _filter_hint(value: str) -> str:
    digits = value.lower().removeprefix("0x")
    if re.fullmatch("[0-9][0-9a-f]{3}(10de)?", digits):  # A100 is a product
        return f"Did you mean 0x{digits[:4].upper()}10DE?"
    return "migprov info prints a GPU's device id."


def _id_text(value: int) -> str:
    try:
        parse(str(value))
    except BadProfileName as error:
        return str(error)
    raise AssertionError("a number is no profile name")
