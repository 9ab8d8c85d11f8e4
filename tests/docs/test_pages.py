"""Every page, as somebody reads it: its commands in order, its Python, its files. CONTRIBUTING.md has the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import contents, exceptions, output, pages, worlds
from .session import Session

RUN = [page for page in pages.documents() if any(
    block.file is None and block.language in (*pages.SHELL, *pages.PYTHON) for block in pages.blocks(page)
)]  # fmt: skip


def to_run(page: str) -> bool:
    """Whether anything is left to run when the exceptions are taken away."""
    for block in pages.blocks(page):
        if any(not exceptions.of_command(command) for command in pages.commands(block)):
            return True
        if block.language in pages.PYTHON and not block.file and not exceptions.of_python(block):
            return True
    return False


PAGES = [
    pytest.param(page, marks=[pytest.mark.long] if worlds.of(page).long else [], id=page)
    for page in RUN
    if to_run(page)
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES)
def test_page(page: str) -> None:
    with worlds.prepared(page) as place:
        session = Session(place.folder, place.env)
        said: dict[str, str] = {}
        try:
            for line in place.world.setup:
                text, status = session.run(line.format_map(place.known))
                assert status == 0, f"{line}\n{text}"
            for block in pages.blocks(page):
                if block.file:
                    write(place.folder / block.file, block.text)
                elif block.language in pages.PYTHON:
                    said["python"] = said.get("python", "") + execute(session, place, block)
                else:
                    for command in pages.commands(block):
                        if not exceptions.of_command(command):
                            said[command.plain] = said.get(command.plain, "") + run(session, place, command)
            if page in contents.OF_PAGE:
                contents.OF_PAGE[page](said, place.folder)
        finally:
            session.end()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def execute(session: Session, place: worlds.Place, block: pages.Block) -> str:
    if exceptions.of_python(block):
        return ""
    text, status = session.execute(block.language, place.real(block.text), block.where)
    assert status == 0, f"{block.where}\n{text}"
    return text


def run(session: Session, place: worlds.Place, command: pages.Command) -> str:
    text, status = session.run(place.real(command.text))
    heading = f"{command.where}: {command.text}"
    assert status == command.status, f"{heading}\nexit status {status}, not {command.status}\n{text}"
    lost = output.missing([place.real(line) for line in command.output], text)
    assert lost is None, f"{heading}\nthe page shows, and it was not said, or not there: {lost}\n{text}"
    return text
