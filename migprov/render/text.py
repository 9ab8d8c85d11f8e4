"""What is rendered: texts with the names of their files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..layouts.yaml_text import Dumper


@dataclass(frozen=True)
class File:
    """One file: its name, or its path where it has to lie, and its text, which ends with a newline.

    In every format that is rendered `#` begins a comment.
    """

    name: str
    text: str

    @property
    def is_yaml(self) -> bool:
        """Whether it may stand in a stream of YAML documents."""
        return self.name.endswith((".yaml", ".yml"))


def documents(given: Iterable[Any], comments: Sequence[str] = ()) -> str:
    """YAML documents, one behind the other, with comments above them."""
    said = "".join(f"# {line}\n" if line else "#\n" for line in comments)
    bodies = [
        yaml.dump(each, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=110)
        for each in given
    ]
    return said + "---\n".join(bodies)


def document(given: Any, comments: Sequence[str] = ()) -> str:
    """One YAML document, with comments above it."""
    return documents([given], comments)


def stream(files: Sequence[File]) -> str:
    """All files as one text: one alone as it is, several with their names above them."""
    if len(files) == 1:
        return files[0].text
    parts = [f"{'---' + chr(10) if each.is_yaml else ''}# {each.name}\n{each.text}" for each in files]
    return "".join(parts) if all(each.is_yaml for each in files) else "\n".join(parts)


def difference(old: str | None, file: File, where: str) -> str:
    """How the file `where` (None: there is none) differs from what is rendered, as a unified diff; empty where not."""
    if old == file.text:
        return ""
    before = [] if old is None else old.splitlines(keepends=True)
    lines = difflib.unified_diff(
        before, file.text.splitlines(keepends=True), "/dev/null" if old is None else where, f"{where} (rendered)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
