"""YAML text to a tree that knows its lines.

The tree is built from parse events, not by PyYAML's constructors: nothing is ever instantiated from a tag,
nesting and alias expansion are bounded while reading, and text that YAML 1.1 would take for a number of
base 60 (a PCI bus id such as ``07:00.0``) stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from .errors import LayoutError, Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
"""Levels of nesting, aliases followed."""
MAX_NODES = 200_000
"""Values in the file, aliases followed."""
MAX_ELEMENTS = 1024
"""Elements of one list."""
MAX_KEYS = 10_000
"""Keys of one mapping."""

Scalar = str | int | bool | None
LineOf = Callable[[int], int]


class Kind(NamedTuple):
    """What kind of file is read: its name and its beginning in messages, and how much of it is too much."""

    name: str = "layout file"
    begin: str = "Begin with version: v1 and mig-configs."
    most_elements: int = MAX_ELEMENTS
    most_nodes: int = MAX_NODES


LAYOUT_FILE = Kind()

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_YAML_TAG = "tag:yaml.org,2002:"
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_NULLS = {"", "~", "null", "Null", "NULL"}
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,15}")
_MERGE = "<<"


@dataclass(slots=True)
class Node:
    """A value of the file. ``value`` is a scalar, a list of nodes or a mapping of key to ``Item``."""

    line: int
    value: Scalar | list[Node] | dict[str, Item]
    text: str = ""
    """A scalar as it stands in the file, without quotes."""
    literal: bool = False
    """Written as a ``|`` block, so that its lines are lines of the file."""
    size: int = 1
    height: int = 1

    def plain(self) -> Any:
        """The value as dictionaries, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: item.node.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def items(self) -> dict[str, Item]:
        """The items of a mapping; of anything else none."""
        return self.value if isinstance(self.value, dict) else {}

    def elements(self) -> list[Node]:
        """The elements of a list; of anything else none."""
        return self.value if isinstance(self.value, list) else []


@dataclass(slots=True)
class Item:
    """A value of a mapping with the line its key stands on."""

    key_line: int
    node: Node


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read."""

    line: int
    anchor: str | None
    mapping: bool
    children: list[Node] = field(default_factory=list)


def read(text: str, source: str, line_of: LineOf = lambda line: line, kind: Kind = LAYOUT_FILE) -> Node:
    """Read one YAML document; ``line_of`` maps a line of ``text`` to the line to report.

    Raises LayoutError: not YAML, no or several documents, a duplicate key, a tag, or beyond the bounds.
    """
    builder = _Builder(source, line_of, kind)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, len(text.splitlines())) if mark else 1
        message = f"not YAML: {error.problem or error.context}"
        raise builder.wrong(line, message, _syntax_hint(text, line)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, max(error.position, 0)) + 1
        raise builder.wrong(line, f"not YAML: {error.reason}", "Save the file as plain UTF-8 text.") from None
    except (ValueError, OverflowError) as error:  # PyYAML converts escapes such as "\UFFFFFFFF" unchecked
        raise builder.wrong(0, f"not YAML: {error}") from None
    if builder.root is None:
        raise builder.wrong(1, "the file is empty", kind.begin)
    return builder.root


class _Builder:
    """Builds the tree from events; a stack takes the place of recursion."""

    def __init__(self, source: str, line_of: LineOf, kind: Kind) -> None:
        self.root: Node | None = None
        self._kind = kind
        self._source = source
        self._line_of = line_of
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._read = 0

    def wrong(self, line: int, message: str, hint: str = "") -> LayoutError:
        return self._error(self._line_of(line) if line else 0, message, hint)

    def _error(self, line: int, message: str, hint: str = "") -> LayoutError:
        return LayoutError([Problem(self._source, line, " ".join(message.split()), hint)])

    def take(self, event: yaml.Event) -> None:
        """Add the next event."""
        line = self._line_of(event.start_mark.line + 1 if event.start_mark else 1)
        if isinstance(event, yaml.ScalarEvent):
            literal = event.style == "|"
            self._complete(Node(line, self._scalar(event, line), event.value, literal), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                hint = "An anchor must stand before its alias and cannot hold itself."
                raise self._error(line, f"alias *{event.anchor} names no anchor", hint)
            self._complete(self._anchors[event.anchor], None)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            mapping = isinstance(event, yaml.MappingStartEvent)
            self._check_tag(event.tag, ("map",) if mapping else ("seq",), line)
            self._stack.append(_Open(line, event.anchor, mapping))
            if len(self._stack) > MAX_DEPTH:
                raise self._error(line, f"nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            opened = self._stack.pop()
            self._complete(self._close(opened), opened.anchor)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise self._error(line, "a second YAML document begins here", f"A {self._kind.name} holds one document.")

    def _complete(self, node: Node, anchor: str | None) -> None:
        self._read += 1
        if node.height > MAX_DEPTH or max(self._read, node.size) > self._kind.most_nodes:
            limit = f"{MAX_DEPTH} levels or {self._kind.most_nodes} values"
            raise self._error(node.line, f"more than {limit}, aliases followed", "Split the file.")
        if anchor is not None:
            self._anchors[anchor] = node
        if self._stack:
            self._stack[-1].children.append(node)
            self._check_length(self._stack[-1], node)
        else:
            self.root = node

    def _check_length(self, opened: _Open, newest: Node) -> None:
        most = 2 * MAX_KEYS if opened.mapping else self._kind.most_elements
        if len(opened.children) > most:
            what = (
                f"a mapping of more than {MAX_KEYS} keys" if opened.mapping else f"a list of more than {most} elements"
            )
            raise self._error(newest.line, what, "Split the file.")

    def _close(self, opened: _Open) -> Node:
        children = opened.children
        value = self._mapping(children) if opened.mapping else children
        size = 1 + sum(child.size for child in children)
        height = 1 + max((child.height for child in children), default=0)
        return Node(opened.line, value, size=size, height=height)

    def _mapping(self, children: list[Node]) -> dict[str, Item]:
        own: dict[str, Item] = {}
        merged: dict[str, Item] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if isinstance(key.value, dict | list):
                raise self._error(key.line, "a key must be a plain word, not a list or mapping")
            if key.text in own:
                first = own[key.text].key_line
                hint = f"It stands on line {first} already; YAML would drop one of them silently."
                raise self._error(key.line, f"duplicate key {key.text!r}", hint)
            own[key.text] = Item(key.line, value)
        if _MERGE in own:
            merged = self._merge(own.pop(_MERGE))
        return {**merged, **own}

    def _merge(self, item: Item) -> dict[str, Item]:
        sources = item.node.elements() if isinstance(item.node.value, list) else [item.node]
        merged: dict[str, Item] = {}
        for source in sources:
            if not isinstance(source.value, dict):
                raise self._error(item.key_line, "<< must name a mapping or a list of mappings")
            merged = {**source.value, **merged}
        return merged

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        text = event.value
        if event.tag is None or event.tag == "!":
            return resolve(text) if event.implicit[0] and event.tag is None else text
        kind = self._check_tag(event.tag, ("str", "int", "bool", "null"), line)
        value = text if kind == "str" else resolve(text)
        expected = {"str": str, "int": int, "bool": bool, "null": type(None)}[kind]
        if type(value) is not expected:
            raise self._error(line, f"{text[:40]!r} is no {kind}")
        return value

    def _check_tag(self, tag: str | None, allowed: tuple[str, ...], line: int) -> str:
        kind = (tag or "").removeprefix(_YAML_TAG)
        if tag in (None, "!") or kind in allowed:
            return kind
        raise self._error(line, f"tag {tag} is not allowed here", "Write the value without a tag.")


def resolve(text: str) -> Scalar:
    """The meaning of an unquoted scalar: true/false, null, a whole number (decimal or 0x), else text."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NULLS:
        return None
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    return text


def _syntax_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    if 0 < line <= len(lines) and "\t" in lines[line - 1]:
        return "Indent with spaces, not with tabs."
    return "Check indentation, colons and quotes."
