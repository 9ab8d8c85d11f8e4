"""The configuration that NVIDIA's MIG manager reads, with one layout of ours among others. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ...errors import BadRequest
from ...layouts.yaml_text import Dumper

PREFIX = "migprov-"
_LABEL_LENGTH = 63
_HASH_LENGTH = 8


class CannotSay(BadRequest):
    """The layout says something that mig-parted's format v1 has no words for, or the manager's file is none."""


def config_name(layout: str) -> str:
    """The name of a layout among the manager's: a valid value of a label, another one for another layout."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", layout).strip("-_.")
    if plain == layout and len(PREFIX) + len(plain) <= _LABEL_LENGTH:
        return PREFIX + plain
    digest = hashlib.sha256(layout.encode()).hexdigest()[:_HASH_LENGTH]
    room = _LABEL_LENGTH - len(PREFIX) - len(digest) - 1
    return f"{PREFIX}{plain[:room]}-{digest}"


def config(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries of a layout (as on the wire) as the manager reads them. Raises CannotSay."""
    return [_entry(entry) for entry in entries]


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    where = entry.get("source") or "the layout"
    devices = entry["devices"]
    if devices != "all" and not all(isinstance(one, int) for one in devices):
        raise CannotSay(
            f"{where}: NVIDIA's MIG manager knows GPUs by index only, not by UUID or PCI bus id. Nothing was changed",
            next="name the GPUs by index, or take the MIG manager from the node.",
        )
    made: dict[str, Any] = {}
    if entry.get("device_filter"):
        made["device-filter"] = list(entry["device_filter"])
    made |= {"devices": devices, "mig-enabled": bool(entry["mig_enabled"])}
    if entry["mig_enabled"]:
        made["mig-devices"] = _counts(entry["instances"], where)
    return made


def _counts(instances: Sequence[Mapping[str, Any]], where: str) -> dict[str, int]:
    found: list[str] = []
    for instance in instances:
        cut = instance.get("compute_instances")
        if instance.get("start") is not None or any(one.get("start") is not None for one in cut or []):
            raise CannotSay(
                f"{where}: NVIDIA's MIG manager places instances itself and cannot be told where. Nothing was changed",
                next="leave the placements out of the layout, or take the MIG manager from the node.",
            )
        found += [instance["profile"]] if cut is None else [one["profile"] for one in cut]
    return dict(Counter(found))


def merged(text: str, name: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """The file with the layout `name` in it; all else stays as it is, to the letter. Raises CannotSay."""
    document = _document(text)
    wanted = [dict(entry) for entry in entries]
    if document["mig-configs"].get(name) == wanted:
        return text
    made = _edited(text, name, wanted)
    expected = {**document, "mig-configs": {**document["mig-configs"], name: wanted}}
    if not _is(made, expected):
        # In a form that lines cannot be put into: the content stays, the form does not.
        made = yaml.dump(expected, Dumper=Dumper, sort_keys=False)
    return made


def _document(text: str) -> dict[str, Any]:
    document = _loaded(text)
    if document is None:
        return {"version": "v1", "mig-configs": {}}
    if not isinstance(document, dict) or not isinstance(document.get("mig-configs") or {}, dict):
        raise CannotSay("the MIG manager's configuration is not a file of mig-configs. Nothing was changed")
    return {**document, "mig-configs": document.get("mig-configs") or {}}


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CannotSay(f"the MIG manager's configuration is not YAML: {error}. Nothing was changed") from None


def _edited(text: str, name: str, wanted: list[dict[str, Any]]) -> str:
    """Our lines in place of ours of before, or before the first of the others."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    configs = next((value for key, value in root.value if key.value == "mig-configs"), None) if root else None
    if configs is None or not configs.value or configs.flow_style:
        return yaml.dump({**_document(text), "mig-configs": {name: wanted}}, Dumper=Dumper, sort_keys=False)
    lines = text.splitlines(keepends=True)
    keys = [key.start_mark.line for key, _value in configs.value]
    start = end = keys[0]
    for number, (key, value) in enumerate(configs.value):
        if key.value == name:
            start = keys[number]
            end = keys[number + 1] if number + 1 < len(keys) else _end(value.end_mark, lines)
            # Comments in between belong to what follows.
            while end > start + 1 and re.match(r"\s*(#|$)", lines[end - 1]):
                end -= 1
    block = yaml.dump({name: wanted}, Dumper=Dumper, sort_keys=False)
    ours = "".join(" " * configs.value[0][0].start_mark.column + line for line in block.splitlines(keepends=True))
    return "".join(lines[:start]) + ours + "".join(lines[end:])


def _end(mark: yaml.Mark, lines: list[str]) -> int:
    """The first line behind a value: the mark's, unless the value ends within it."""
    return mark.line + 1 if mark.line < len(lines) and lines[mark.line][: mark.column].strip() else mark.line


def _is(text: str, expected: Any) -> bool:
    try:
        return bool(yaml.safe_load(text) == expected)
    except yaml.YAMLError:
        return False
