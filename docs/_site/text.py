"""Markdown, by the piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """One line that a table bears."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *([cell(each) for each in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


def plain(text: str) -> str:
    """Text that is no Markdown: nothing in it means anything."""
    return re.sub(r"([\\`*_<>\[\]{}])", r"\\\1", text)


def code(value: object) -> str:
    return f"`{value}`"


def page(title: str, *parts: str) -> str:
    return "\n".join([f"# {title}\n", *parts])
