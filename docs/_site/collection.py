"""Modules, the filter and roles of migprov.gpu, from what ansible-doc reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from . import text

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "migprov.gpu"
# Ansible's markup: its letters, what stands before its text and behind it in Markdown.
_MARKUP = re.compile(r"\b(?:(B|I|C|O|V|RV|E|M|P|R|U|L)\(((?:[^()\\]|\\.|\([^()]*\))*)\)|HORIZONTALLINE)")


@cache
def documented() -> dict[str, dict[str, Any]]:
    """By kind (`module`, `filter`, `role`) and short name."""
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".dev")}
    command = [sys.executable, "-m", "ansible", "doc", "--metadata-dump", "--no-fail-on-errors", COLLECTION]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    everything = json.loads(done.stdout)["all"]
    prefix = f"{COLLECTION}."
    return {
        kind: {name.removeprefix(prefix): of for name, of in everything[kind].items()}
        for kind in ("module", "filter", "role")
    }


def modules_page() -> str:
    parts = [f"The collection `{COLLECTION}`. `ansible-doc {COLLECTION}.NAME` says the same.\n"]
    for kind in ("module", "filter"):
        for name, found in documented()[kind].items():
            parts.append(f"## `{name}`{'' if kind == 'module' else ' (filter)'}\n")
            parts += list(_plugin(found))
    return text.page("Modules", *parts)


def roles_page() -> str:
    parts = [f"The variables of each role of `{COLLECTION}`, by entry point. How to use them stands in the READMEs.\n"]
    for name, found in documented()["role"].items():
        parts.append(f"## `{name}`\n")
        points = found["entry_points"]
        told: dict[str, str] = {}
        for point in sorted(points, key=lambda each: (each != "main", each)):
            of = points[point]
            parts += [f"### `{name}`: entry point `{point}`\n", f"{markdown(of['short_description'])}.\n"]
            parts.append(_sentences(of.get("description")))
            options = json.dumps(of.get("options", {}), sort_keys=True)
            if options != "{}" and options in told:
                parts.append(f"Its variables are those of `{told[options]}`.\n")
            else:
                told[options] = point
                parts.append(_options(of.get("options", {}), "variable"))
    return text.page("Roles", *parts)


def _plugin(found: Mapping[str, Any]) -> Iterator[str]:
    doc = found["doc"]
    yield f"{markdown(doc['short_description'])}.\n"
    yield _sentences(doc.get("description"))
    yield _options(doc.get("options", {}), "option")
    if notes := doc.get("notes"):
        yield _sentences(notes)
    if attributes := doc.get("attributes"):
        rows = [(text.code(n), str(a["support"]), markdown(_joined(a["description"]))) for n, a in attributes.items()]
        yield text.table(("attribute", "support", ""), rows)
    if examples := found.get("examples"):
        yield text.fenced("yaml", examples)
    if returned := found.get("return"):
        yield "Returns:\n"
        yield text.table(("value", "type", "when", "what"), _returned(returned, ""))


def _options(options: Mapping[str, Any], what: str, prefix: str = "") -> str:
    rows = list(_rows(options, prefix))
    return text.table((what, "type", "default", "meaning"), rows) if rows else ""


def _rows(options: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, of in options.items():
        kind = of.get("type", "str") + (f" of {of['elements']}" if of.get("elements") else "")
        default = (
            "**required**" if of.get("required") else text.code(json.dumps(of["default"])) if "default" in of else ""
        )
        said = markdown(_joined(of.get("description", "")))
        choices = of.get("choices") or ()
        if isinstance(choices, dict):
            said += "".join(f" `{choice}`: {markdown(_joined(why))}" for choice, why in choices.items())
        elif choices:
            said += f" One of {', '.join(text.code(choice) for choice in choices)}."
        yield text.code(prefix + name), kind, default, said
        yield from _rows(of.get("options") or of.get("suboptions") or {}, f"{prefix}{name}.")


def _returned(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, of in values.items():
        kind = of.get("type", "") + (f" of {of['elements']}" if of.get("elements") else "")
        yield (
            text.code(prefix + name),
            kind,
            markdown(str(of.get("returned", ""))),
            markdown(_joined(of["description"])),
        )
        yield from _returned(of.get("contains") or {}, f"{prefix}{name}.")


def _joined(said: str | list[str]) -> str:
    return said if isinstance(said, str) else " ".join(said)


def _sentences(said: str | list[str] | None) -> str:
    lines = [said] if isinstance(said, str) else said or []
    return "\n\n".join(markdown(each) for each in lines) + "\n"


def markdown(said: str) -> str:
    """Ansible's markup as Markdown; all else means nothing in it."""
    parts = []
    at = 0
    for found in _MARKUP.finditer(said):
        parts += [text.plain(said[at : found.start()]), _one(found[1], (found[2] or "").replace("\\", ""))]
        at = found.end()
    return "".join([*parts, text.plain(said[at:])])


def _one(letter: str | None, inside: str) -> str:
    if letter in ("B", "I"):
        return f"**{text.plain(inside)}**"
    if letter in ("L", "R"):
        label, _, target = inside.partition(",")
        return f"[{label}]({target.strip()})" if letter == "L" else label
    if letter in ("O", "RV"):
        # `collection.plugin#kind:name`, `ignore:name`, or the name alone.
        plugin, _, name = inside.removeprefix("ignore:").rpartition(":")
        return text.code(name) + (f" of {text.code(plugin.partition('#')[0])}" if plugin else "")
    if letter == "P":
        inside = inside.partition("#")[0]
    return f"<{inside}>" if letter == "U" else text.code(inside) if letter else "---"
