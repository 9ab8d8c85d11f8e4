"""The documents, as what a reader would type and write: CONTRIBUTING.md ("Docs") has the rules."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]

SHELL = ("console", "sh")
PYTHON = ("python", "pycon")
FILES = ("yaml", "json", "ini", "python", "sh")
SHOWN = ("text", "ini", "css", "promql", "mermaid", "dockerfile", "toml", "systemd")
LANGUAGES = {*SHELL, *PYTHON, *FILES, *SHOWN}

_NAMED = re.compile(r"^# ?((?:[\w.@-]+/)*[\w.@-]+\.(?:yml|yaml|json|ini|cfg|conf|py|sh))(?:: .*|, .*)?$")
_EXIT = re.compile(r"\s#.*\bexit (\d+)\b")
_COMMENT = re.compile(r"\s+# [^'\"]*$")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is, by its first line."""
        named = _NAMED.match(self.text.partition("\n")[0]) if self.language in FILES else None
        return named[1] if named else None


@dataclass(frozen=True)
class Command:
    block: Block
    line: int
    text: str
    """As typed, without prompt, with its comment."""
    output: tuple[str, ...] = ()
    root: bool = False
    """Behind the prompt `#`: something that only the reader can do, on a machine of theirs."""

    @property
    def where(self) -> str:
        return f"{self.block.page}:{self.line}"

    @property
    def status(self) -> int:
        meant = _EXIT.search(self.text)
        return int(meant[1]) if meant else 0

    @property
    def plain(self) -> str:
        """On one line, without its comment."""
        return _COMMENT.sub("", re.sub(r"\s*\\\n\s*", " ", self.text)).strip()


@cache
def documents() -> tuple[str, ...]:
    """Every Markdown file of the checkout, by its path from the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True
    )
    names = listing.stdout.split("\0") if listing.returncode == 0 else map(str, ROOT.glob("docs/**/*.md"))
    return tuple(sorted(name for name in names if name and (ROOT / name).exists()))


@cache
def tokens(page: str) -> tuple[Token, ...]:
    return tuple(MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text()))


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """The fenced blocks, in order; `line` is that of the block's first line of text."""
    found = []
    for token in tokens(page):
        if token.type == "fence" and token.map:
            found.append(Block(page, token.map[0] + 2, token.info.strip(), token.content))
    return tuple(found)


class Malformed(AssertionError):
    """A block that is not what its language says."""


@cache
def commands(block: Block) -> tuple[Command, ...]:
    """What is typed; nothing where `parsed` fails, which is a failure of its own."""
    try:
        return parsed(block)
    except Malformed:
        return ()


def parsed(block: Block) -> tuple[Command, ...]:
    if block.file or block.language not in SHELL:
        return ()
    return tuple(_session(block) if block.language == "console" else _script(block))


def _session(block: Block) -> Iterator[Command]:
    lines = block.text.splitlines()
    at = 0
    while at < len(lines):
        begin, line = at, lines[at]
        if line[:2] not in ("$ ", "# "):
            raise Malformed(f"{block.page}:{block.line + at}: output without a command: {line!r}")
        text = line[2:]
        while text.endswith("\\"):
            at += 1
            text += "\n" + lines[at]
        at += 1
        output = []
        while at < len(lines) and lines[at][:2] not in ("$ ", "# "):
            output.append(lines[at])
            at += 1
        yield Command(block, block.line + begin, text, tuple(output), root=line[0] == "#")


def _script(block: Block) -> Iterator[Command]:
    """Cut where bash would take what is there as whole."""
    begin, held = 0, ""
    for at, line in enumerate(block.text.splitlines()):
        if not held and (not line.strip() or line.startswith("#")):
            continue
        begin = begin if held else at
        held += line + "\n"
        if whole(held):
            yield Command(block, block.line + begin, held.rstrip("\n"))
            held = ""
    if held:
        raise Malformed(f"{block.where}: not a whole command: {held!r}")


def whole(text: str) -> bool:
    if text.endswith("\\\n"):
        return False
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return read.returncode == 0 and "here-document" not in read.stderr
