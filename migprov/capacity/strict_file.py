"""Reading the YAML files of the planner as strictly as layout files: file, line, what is wrong, what was meant."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest
from ..layouts import LayoutError, Problem
from ..layouts.document import Kind, Node, read
from ..layouts.schema import MOST_PROBLEMS, leaves, locate
from ..layouts.words import nearest, shown
from .products import all_products

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

MAX_BYTES = 16 << 20
MOST_ELEMENTS = 200_000
MOST_NODES = 2_000_000

Hint = Callable[[str, Any], str]
"""Of a key and the value that it has: what was meant, or an empty text."""


class StrictFileError(BadRequest):
    """A file that cannot be used. Nothing was contacted. The text is one line a problem: `file:line: message. hint`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        first = self.problems[0]
        super().__init__(first.message, next=first.hint or None)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": str(self), "next": self.next}


@dataclass(frozen=True)
class FileKind:
    """A kind of file: `name` and `begin` for messages, `schema` its file in this package, `of_key` hints by key."""

    name: str
    begin: str
    schema: str
    of_key: Hint

    @property
    def document(self) -> Kind:
        """What the YAML reader wants to know."""
        return Kind(self.name, self.begin, MOST_ELEMENTS, MOST_NODES)

    def schema_text(self) -> str:
        """The JSON Schema (draft 2020-12) as it stands in the package."""
        return files(__package__).joinpath(self.schema).read_text(encoding="utf-8")


def product_hint(text: str) -> str:
    """The products that a text may have meant: `H200` is the beginning of one, `A100` of two."""
    begun = [key for key in all_products() if text and key.lower().startswith(text.lower())]
    return f"Did you mean {' or '.join(begun)}?" if begun else nearest(text, list(all_products()))


@dataclass
class Wrong:
    """Collects what is wrong beyond the schema, so that one run names all of it."""

    source: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, node: Node, message: str, hint: str = "") -> None:
        """Something wrong at a node."""
        self.problems.append(Problem(self.source, node.line, message, hint))

    def end(self) -> None:
        """Raise StrictFileError if something was wrong."""
        if self.problems:
            raise StrictFileError(sorted(self.problems, key=lambda problem: problem.line)[:MOST_PROBLEMS])


def load(path: str | os.PathLike[str], kind: FileKind) -> Node:
    """The checked document of a file of at most 16 MiB. Raises StrictFileError."""
    source = os.fspath(path)
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StrictFileError([Problem(source, 0, f"cannot be read: {reason}")]) from None
    return loads(data, source, kind)


def loads(data: bytes, source: str, kind: FileKind) -> Node:
    """The checked document of a text. Raises StrictFileError."""
    if len(data) > MAX_BYTES:
        raise StrictFileError([Problem(source, 0, f"larger than {MAX_BYTES} bytes", f"Is this a {kind.name}?")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise StrictFileError([Problem(source, line, message, "Save the file as UTF-8 text.")]) from None
    try:
        root = read(text, source, kind=kind.document)
    except LayoutError as error:
        raise StrictFileError(error.problems) from None
    if found := _problems(root, source, kind):
        raise StrictFileError(found)
    return root


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator  # takes 0.1 s to load; only those who read a file pay it

    return Draft202012Validator(json.loads(files(__package__).joinpath(schema).read_text(encoding="utf-8")))


def _problems(root: Node, source: str, kind: FileKind) -> list[Problem]:
    found: list[Problem] = []
    for error in _validator(kind.schema).iter_errors(root.plain()):
        found += [problem for leaf in leaves(error) for problem in _in_words(leaf, root, source, kind)]
        if len(found) > MOST_PROBLEMS:
            break
    return sorted(dict.fromkeys(found), key=lambda problem: problem.line)[:MOST_PROBLEMS]


def _in_words(error: ValidationError, root: Node, source: str, kind: FileKind) -> Iterator[Problem]:
    path = list(error.absolute_path)
    node, key_line = locate(root, path)
    name = _name(root, path)
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        for key, item in node.items().items():
            if key not in schema["properties"]:
                unknown = f"unknown key {shown(key)} in {name}"
                yield Problem(source, item.key_line, unknown, nearest(key, schema["properties"]))
    elif error.validator == "required":
        for key in schema["required"]:
            if key not in node.items() and not _misspelt(key, node, schema["properties"]):
                wanted = schema["properties"][key].get("description", "")
                yield Problem(source, node.line, f"{name} has no {key}", f"It is {wanted}." if wanted else "")
    else:
        wanted = schema.get("description") or shown(error.message)
        hint = kind.of_key(str(path[-1]) if path else "", node.text or error.instance)
        if error.validator == "enum" and isinstance(error.instance, str):
            hint = nearest(error.instance.lower(), schema["enum"])
        line = node.line if node.text else key_line
        yield Problem(source, line, f"{name} must be {wanted}, not {shown(error.instance)}", hint)


def _misspelt(key: str, node: Node, known: Any) -> bool:
    """A key that is missing because it is misspelt is told once, as an unknown key."""
    return bool(difflib.get_close_matches(key, [other for other in node.items() if other not in known], n=1))


def _name(root: Node, path: Sequence[str | int]) -> str:
    """The words for a place: `memory of workload 'asr'`, `element 1 of runs-on of workload 'asr'`."""
    words = []
    for number, step in enumerate(path):
        if number == 1 and isinstance(step, int):
            named = locate(root, path[:2])[0].items().get("name")
            one = str(path[0]).removesuffix("s")
            own = named.node.value if named is not None else None
            words = [f"{one} {shown(own)}" if isinstance(own, str) else f"{one} {step + 1}"]
        else:
            words.append(f"element {step + 1}" if isinstance(step, int) else str(step))
    return " of ".join(reversed(words)) or "the file"
