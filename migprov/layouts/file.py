"""Layout files: reading one, and picking a layout by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migprov.mig.wanted import Entry

from . import schema
from .document import MAX_BYTES, Node, read
from .entries import EntryReader
from .errors import LayoutError, Problem
from .words import join, nearest, shown

_CONFIG_MAP_KEY = "config.yaml"
"""Where a ConfigMap for the GPU Operator carries its layouts."""


@dataclass(frozen=True)
class Layout:
    """A named layout: the entries that say how GPUs are to be cut."""

    name: str
    entries: tuple[Entry, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """The entries as a request carries them (docs/architecture.md)."""
        return [entry.to_json() for entry in self.entries]


@dataclass(frozen=True)
class LayoutFile:
    """All layouts of one file."""

    path: str
    layouts: Mapping[str, Layout]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layouts, in the order of the file."""
        return tuple(self.layouts)

    def layout(self, name: str) -> Layout:
        """The layout of that name; raises LayoutError with the nearest names when there is none."""
        if name not in self.layouts:
            raise LayoutError([Problem(self.path, 0, f"no layout named {shown(name)}", nearest(name, self.names))])
        return self.layouts[name]


def load(path: str | os.PathLike[str]) -> LayoutFile:
    """Read a layout file of at most 1 MiB. Raises LayoutError: file, line, what is wrong, what was meant."""
    source = os.fspath(path)
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LayoutError([Problem(source, 0, f"cannot be read: {reason}")]) from None
    return loads(data, source)


def loads(text: str | bytes, source: str = "<layout>") -> LayoutFile:
    """Read the text of a layout file; ``source`` stands in messages for its path. Raises LayoutError."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        message = f"larger than {MAX_BYTES} bytes"
        raise LayoutError([Problem(source, 0, message, "A layout file is small; is this the right one?")])
    root = _format_v1(read(_decoded(data, source), source), source)
    if found := schema.problems(root, source):
        raise LayoutError(found)
    reader = EntryReader(source)
    configs = root.items()["mig-configs"].node.items()
    layouts = {name: Layout(name, reader.layout(item.node)) for name, item in configs.items()}
    if reader.problems:
        raise LayoutError(reader.problems)
    return LayoutFile(source, layouts)


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise LayoutError([Problem(source, line, message, "Save the file as UTF-8 text.")]) from None


def _format_v1(root: Node, source: str) -> Node:
    """The layouts in a document: itself, or for the manifest of a ConfigMap what it carries."""
    items = root.items()
    if "kind" not in items or "version" in items:
        return root
    kind = items["kind"]
    if kind.node.value != "ConfigMap":
        message = f"a manifest of kind {shown(kind.node.plain())} holds no layouts"
        hint = "Give the layout file itself, or a ConfigMap that carries it."
        raise LayoutError([Problem(source, kind.key_line, message, hint)])
    data = items["data"].node.items() if "data" in items else {}
    texts = {key: item.node for key, item in data.items() if isinstance(item.node.value, str)}
    key = next(iter(texts)) if len(texts) == 1 else _CONFIG_MAP_KEY
    if key not in texts:
        line = items["data"].key_line if "data" in items else root.line
        hint = f"Its keys: {join(tuple(data))}." if data else ""
        raise LayoutError([Problem(source, line, f"the ConfigMap has no data under {_CONFIG_MAP_KEY}", hint)])
    return _read_inside(texts[key], source)


def _read_inside(node: Node, source: str) -> Node:
    """The document in a text of another one. Lines of a ``|`` block are lines of the file; others are not."""
    return read(node.text, source, lambda line: node.line + line if node.literal else node.line)
