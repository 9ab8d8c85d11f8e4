"""What CONTRIBUTING.md ("Docs") asks of every page, without running it."""

from __future__ import annotations

import json
import re

import pytest

from . import exceptions, pages, understood, worlds

BLOCKS = [block for page in pages.documents() for block in pages.blocks(page)]
COMMANDS = [command for block in BLOCKS for command in pages.commands(block)]
EXCEPTED = [command for command in COMMANDS if exceptions.of_command(command)]
A_COMMAND = re.compile(
    r"^\s*(?:\$ |# )?(?:migprov|ansible[\w-]*|make|pip|sudo|kubectl|scontrol|sinfo) (?!.*(?:: |->))", re.MULTILINE
)


def test_documents_were_found() -> None:
    assert {"README.md", "docs/operations.md", "roles/mig_layout/README.md"} <= set(pages.documents())
    assert len(COMMANDS) > 50


def test_every_block_names_a_language() -> None:
    # Only the table of contents is written for the site alone.
    good = {*pages.LANGUAGES, "{toctree}"}
    wrong = [block for block in BLOCKS if block.language not in good]
    wrong += [block for block in BLOCKS if block.language == "{toctree}" and block.page != "docs/index.md"]
    assert [f"{block.where}: {block.language!r}" for block in wrong] == []


@pytest.mark.parametrize("page", pages.documents())
def test_every_session_has_prompts_and_every_script_is_whole(page: str) -> None:
    for block in pages.blocks(page):
        pages.parsed(block)


def test_no_code_is_merely_indented() -> None:
    """Nobody would know what it is."""
    found = [
        f"{page}:{token.map[0] + 1}"
        for page in pages.documents()
        for token in pages.tokens(page)
        if token.type == "code_block" and token.map
    ]
    assert found == []


def test_no_command_hides_where_nothing_is_run() -> None:
    hidden = [b.where for b in BLOCKS if b.language in pages.SHOWN and not b.file and A_COMMAND.search(b.text)]
    assert hidden == []


def test_what_root_does_on_a_host_has_a_reason() -> None:
    """Nothing behind the prompt `#` is run."""
    assert [c.where for c in COMMANDS if c.root and not exceptions.of_command(c)] == []


@pytest.mark.parametrize("row", exceptions.EXCEPTIONS, ids=lambda row: f"{row.page}: {row.what}")
def test_every_exception_is_needed(row: exceptions.NotRun) -> None:
    used = [exceptions.of_command(command) for command in COMMANDS]
    used += [exceptions.of_python(block) for block in BLOCKS if block.language in pages.PYTHON]
    assert any(each is row for each in used), "it matches nothing, or another row comes before it: take it out"
    assert row.why


def test_every_world_has_its_page() -> None:
    assert set(worlds.WORLDS) <= set(pages.documents())


@pytest.mark.parametrize("command", EXCEPTED, ids=lambda command: f"{command.where} {command.plain}")
def test_what_is_not_run_is_understood(command: pages.Command) -> None:
    understood.command(command.text)


def test_python_that_is_not_run_is_understood() -> None:
    for block in BLOCKS:
        if block.language == "python" and (block.file or exceptions.of_python(block)):
            understood.python(block.text, block.where)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=lambda block: block.where)
def test_json_is_json(block: pages.Block) -> None:
    """One document, or one a line."""
    try:
        json.loads(block.text)
    except ValueError:
        assert [json.loads(line) for line in block.text.splitlines()]
