"""docs/operations.md: its commands exist as they stand there, and no code is without its row."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from migprov import errors
from migprov.cli.main import group
from migprov.mig.errors import MigError
from migprov.node import errors as node_errors

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted({ROOT / "README.md", *(ROOT / "docs").glob("*.md")})
NOT_TOLD = {"program_missing", "fleet"}
"""What no node is ever reported with: the first is answered by sending the program, the second speaks of many nodes."""


def commands(document: Path) -> Iterator[list[str]]:
    """The lines of shell sessions that call migprov, as words."""
    for block in re.findall(r"```(?:console|bash|sh|shell)\n(.*?)```", document.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.strip().removeprefix("$ ").removeprefix("# "), comments=True)
            if words[:1] == ["migprov"]:
                yield words[1 : next((i for i, word in enumerate(words) if word in (">", "|", "&&")), None)]


ALL = [(document.name, words) for document in DOCUMENTS for words in commands(document)]


def test_the_commands_were_found() -> None:
    assert sum(name == "operations.md" for name, _ in ALL) > 10


@pytest.mark.parametrize(
    ("name", "words"), ALL, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_every_command_in_the_documents_is_understood(name: str, words: list[str]) -> None:
    command: click.Command = group
    context = click.Context(group, info_name="migprov")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest.pop(0))
        assert found is not None, words
        command = found
    if rest not in (["--version"], ["--help"]):
        command.make_context(command.name or "", rest, parent=context)


# Whose codes stand in documents of their own, or reach no user of the product.
ELSEWHERE = ("migprov.sim", "migprov.fleet.slurm", "migprov.fleet.kubernetes", "migprov.render")


def codes(base: type[Any]) -> set[str]:
    own = isinstance(base.__dict__.get("code"), str) and not base.__module__.startswith(ELSEWHERE)
    found = {base.code} if own else set()
    return found.union(*(codes(kind) for kind in base.__subclasses__()))


def test_every_code_has_a_row() -> None:
    assert node_errors  # loaded, so that its classes are known
    rows = re.findall(r"^\| (`[^|]*) \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    every = codes(MigError) | codes(errors.MigprovError)
    assert every - NOT_TOLD <= told
    assert {code for code in told if code.isidentifier()} - every == set()
