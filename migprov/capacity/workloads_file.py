"""Workloads files: what has to be placed, in the words of those who run it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from ..layouts.document import Item, Node, resolve
from ..layouts.words import nearest, shown
from . import strict_file, units
from .model import HEADROOM, Place, Workload
from .products import all_products
from .strict_file import FileKind, Wrong

_PLAIN_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PLAIN = _PLAIN_FIRST | frozenset("0123456789_.-/")


@dataclass(frozen=True)
class WorkloadsFile:
    """The workloads of one file, in its order."""

    path: str
    workloads: tuple[Workload, ...]


def load(path: str | os.PathLike[str]) -> WorkloadsFile:
    """Read a workloads file. Raises StrictFileError: file, line, what is wrong, what was meant."""
    return _file(strict_file.load(path, KIND), os.fspath(path))


def loads(text: str | bytes, source: str = "<workloads>") -> WorkloadsFile:
    """Read the text of a workloads file; `source` stands in messages for its path. Raises StrictFileError."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _file(strict_file.loads(data, source, KIND), source)


def schema_text() -> str:
    """The JSON Schema (draft 2020-12) that files are checked against."""
    return KIND.schema_text()


def dump(workloads: Iterable[Workload], notes: Iterable[str] = ()) -> str:
    """A workloads file that reads back as exactly these workloads; `notes` stand above them as comments."""
    given = list(workloads)
    lines = [*(f"# {' '.join(note.split())}" for note in notes), "version: v1"]
    lines.append("workloads:" if given else "workloads: []")
    for workload in given:
        first, *rest = _fields(workload)
        lines += [f"  - {first}", *(f"    {line}" for line in rest)]
    return "\n".join(lines) + "\n"


# --- reading ------------------------------------------------------------------------------------------------------


def _hint(key: str, value: Any) -> str:
    text = str(value).strip()
    if key == "version":
        return "Write version: v1."
    if key == "memory":
        return _memory_hint(text)
    if key in ("headroom", "share"):
        return _percent_hint(text)
    if key == "bandwidth" and _is_number(text):
        return f"Write {text} GB/s."
    if key == "gpu" and text.upper().startswith("MIG-"):
        return "That is the UUID of a MIG device: name the GPU that holds it, and start."
    if key == "name" and not isinstance(value, dict | list) and text:
        return "Put it in quotes."
    if key in ("engines", "products", "shares-card") and isinstance(value, str) and value:
        return f"Write [{text}]."
    return ""


def _memory_hint(text: str) -> str:
    if _is_number(text):
        return f"A bare number could be MiB or GiB: write {text} MiB or {text} GiB."
    meant = units.memory_meant(text)
    return f"Did you mean {meant}?" if meant and meant != text else ""


def _percent_hint(text: str) -> str:
    if not _is_number(text):
        return ""
    number = float(text)
    return f"Did you mean {units.percent_text(number) if number < 1 else f'{text}%'}?"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and text.isascii()


KIND = FileKind("workloads file", "Begin with version: v1 and workloads.", "workloads.schema.json", _hint)


def _file(root: Node, source: str) -> WorkloadsFile:
    wrong = Wrong(source)
    nodes = root.items()["workloads"].node.elements()
    names = {node.items()["name"].node.text: node for node in reversed(nodes)}
    found = tuple(_workload(node, names, wrong) for node in nodes)
    _check_places(nodes, found, wrong)
    wrong.end()
    return WorkloadsFile(source, found)


def _workload(node: Node, names: dict[str, Node], wrong: Wrong) -> Workload:
    items = node.items()
    name = items["name"].node.text
    if names[name] is not node:
        first = names[name].items()["name"].node.line
        wrong.add(items["name"].node, f"a second workload {shown(name)}", f"The first stands on line {first}.")
    if not name.isprintable():
        wrong.add(items["name"].node, f"the name {shown(name)} has characters that cannot be printed")
    headroom = _text(items, "headroom")
    memory = units.memory_mib(items["memory"].node.text) or 0
    if memory > units.MOST_MIB:
        wrong.add(items["memory"].node, f"memory of workload {shown(name)} is more than any GPU will have")
    return Workload(
        name,
        memory,
        replicas=_number(items, "replicas") or 1,
        headroom=HEADROOM if headroom is None else units.percent(headroom) or 0.0,
        sms=_number(items, "sms"),
        share=_parsed(items, "share", units.percent),
        bandwidth_gbs=_parsed(items, "bandwidth", units.speed_gbs),
        engines=frozenset(_texts(items, "engines")),
        latency=_text(items, "latency"),  # type: ignore[arg-type]  # the schema knows the words
        isolation=_text(items, "isolation") or "preferred",  # type: ignore[arg-type]
        shares_card=_shares(name, items, names, wrong),
        most_per_node=_number(items, "most-per-node"),
        products=_products(items, wrong),
        runs_on=tuple(_place(each.items()) for each in _elements(items, "runs-on")),
    )


def _shares(name: str, items: dict[str, Item], names: dict[str, Node], wrong: Wrong) -> bool | tuple[str, ...]:
    given = items.get("shares-card")
    if given is None:
        return True
    if isinstance(given.node.value, bool):
        return given.node.value
    for each in given.node.elements():
        if each.text not in names:
            message = f"workload {shown(name)} shares a card with {shown(each.text)}, which is no workload of this file"
            wrong.add(each, message, nearest(each.text, [other for other in names if other != name]))
    return tuple(dict.fromkeys(each.text for each in given.node.elements()))


def _products(items: dict[str, Item], wrong: Wrong) -> tuple[str, ...]:
    for each in _elements(items, "products"):
        if each.text not in all_products():
            wrong.add(each, f"there is no product {shown(each.text)}", strict_file.product_hint(each.text))
    return tuple(dict.fromkeys(_texts(items, "products")))


def _place(items: dict[str, Item]) -> Place:
    gpu = items["gpu"].node
    return Place(
        items["host"].node.text, gpu.value if isinstance(gpu.value, int) else gpu.text, _number(items, "start")
    )


def _check_places(nodes: list[Node], found: tuple[Workload, ...], wrong: Wrong) -> None:
    taken: dict[Place, str] = {}
    for node, workload in zip(nodes, found, strict=True):
        if len(workload.runs_on) > workload.replicas:
            message = f"workload {shown(workload.name)} runs in {len(workload.runs_on)} places"
            hint = f"It has {workload.replicas} replica{'s' if workload.replicas > 1 else ''}: give replicas."
            wrong.add(node.items()["runs-on"].node, message, hint)
        for each, place in zip(_elements(node.items(), "runs-on"), workload.runs_on, strict=True):
            if place in taken:
                message = f"{shown(taken[place])} and {shown(workload.name)} run in one place"
                wrong.add(each, message, "The planner gives each replica an instance of its own: name a place once.")
            taken[place] = workload.name


def _elements(items: dict[str, Item], key: str) -> list[Node]:
    return items[key].node.elements() if key in items else []


def _texts(items: dict[str, Item], key: str) -> list[str]:
    return [each.text for each in _elements(items, key)]


def _text(items: dict[str, Item], key: str) -> str | None:
    return items[key].node.text if key in items else None


def _number(items: dict[str, Item], key: str) -> int | None:
    value = items[key].node.value if key in items else None
    return value if isinstance(value, int) else None


def _parsed(items: dict[str, Item], key: str, parse: Any) -> float | None:
    text = _text(items, key)
    return None if text is None else parse(text)


# --- writing ------------------------------------------------------------------------------------------------------


def _fields(workload: Workload) -> list[str]:
    memory = units.memory_text(workload.memory_mib)
    comment = f"  # {units.gib(workload.memory_mib)}" if memory.endswith("MiB") else ""
    lines = [f"name: {scalar(workload.name)}"]
    if workload.replicas != 1:
        lines.append(f"replicas: {workload.replicas}")
    lines.append(f"memory: {memory}{comment}")
    if workload.headroom != HEADROOM:
        lines.append(f"headroom: {units.percent_text(workload.headroom)}")
    if workload.sms is not None:
        lines.append(f"sms: {workload.sms}")
    if workload.share is not None:
        lines.append(f"share: {units.percent_text(workload.share)}")
    if workload.bandwidth_gbs is not None:
        lines.append(f"bandwidth: {units.speed_text(workload.bandwidth_gbs)}")
    lines += _listed("engines", sorted(workload.engines))
    if workload.latency is not None:
        lines.append(f"latency: {workload.latency}")
    if workload.isolation != "preferred":
        lines.append(f"isolation: {workload.isolation}")
    if isinstance(workload.shares_card, tuple):
        lines.append(f"shares-card: [{', '.join(map(scalar, workload.shares_card))}]")
    elif not workload.shares_card:
        lines.append("shares-card: false")
    if workload.most_per_node is not None:
        lines.append(f"most-per-node: {workload.most_per_node}")
    lines += _listed("products", workload.products)
    if workload.runs_on:
        lines += ["runs-on:", *(f"  - {_place_text(place)}" for place in workload.runs_on)]
    return lines


def _listed(key: str, values: Iterable[str]) -> list[str]:
    text = ", ".join(map(scalar, values))
    return [f"{key}: [{text}]"] if text else []


def _place_text(place: Place) -> str:
    gpu = place.gpu if isinstance(place.gpu, int) else scalar(place.gpu)
    start = "" if place.start is None else f", start: {place.start}"
    return f"{{host: {scalar(place.host)}, gpu: {gpu}{start}}}"


def scalar(text: str) -> str:
    """A text as YAML, in quotes where another reader might take it for something else."""
    plain = bool(text) and text[0] in _PLAIN_FIRST and set(text) <= _PLAIN
    if plain and isinstance(resolve(text), str) and isinstance(yaml.safe_load(text), str):
        return text
    return str(yaml.safe_dump(text, default_style='"', width=1 << 20)).strip()
