"""What the files mean, key by key, from the schemas that they are checked against."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from . import text

PACKAGE = Path(__file__).resolve().parents[2] / "migprov"
FILES = {
    "Layout files": PACKAGE / "layouts" / "layout.schema.json",
    "Workloads files": PACKAGE / "capacity" / "workloads.schema.json",
    "Fleet files": PACKAGE / "capacity" / "fleet.schema.json",
}


@cache
def schema(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def page() -> str:
    parts = ["Each is a JSON Schema, draft 2020-12; files are YAML. What a schema cannot say is checked beside it.\n"]
    for title, path in FILES.items():
        parts += [f"## {title}\n", f"`{path.relative_to(PACKAGE.parent)}`\n"]
        parts.append(text.table(("key", "type", "what"), rows(schema(path))))
    return text.page("The files", *parts)


def rows(root: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield from _properties(root, root, "", ())


def _properties(
    node: Mapping[str, Any], root: Mapping[str, Any], path: str, seen: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    for each in _forms(node, root):
        if (ref := each.get("$ref")) and ref in seen:
            continue
        if "items" in each:
            yield from _properties(_at(each["items"], root), root, f"{path}[]", seen)
        for key, child in each.get("properties", {}).items():
            name = f"{path}.{key}".lstrip(".")
            found = _at(child, root)
            said = str(found.get("description", child.get("description", "")))
            needed = " **Required.**" if key in each.get("required", ()) else ""
            yield text.code(name), _type(found, root), text.plain(said) + needed
            yield from _properties(found, root, name, seen)
        more = each.get("additionalProperties")
        if isinstance(more, dict):
            found = _at(more, root)
            yield text.code(f"{path}.NAME"), _type(found, root), text.plain(str(found.get("description", "")))
            yield from _properties(found, root, f"{path}.NAME", seen)


def _forms(node: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The node itself, and each of what it may be instead."""
    yield node
    for word in ("anyOf", "oneOf"):
        for each in node.get(word, ()):
            yield from _forms(_at(each, root), root)


def _at(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = root
    for part in str(node["$ref"]).removeprefix("#/").split("/"):
        found = found[part]
    return {**_at(found, root), **{key: value for key, value in node.items() if key != "$ref"}}


def _type(node: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    kinds = []
    for each in _forms(node, root):
        if "const" in each:
            kinds.append(text.code(json.dumps(each["const"]).strip('"') or "''"))
        elif "enum" in each:
            kinds += [text.code(json.dumps(value).strip('"')) for value in each["enum"]]
        elif "type" in each:
            kinds += [each["type"]] if isinstance(each["type"], str) else each["type"]
    return " or ".join(dict.fromkeys(kinds))
