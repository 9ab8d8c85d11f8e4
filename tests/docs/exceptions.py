"""What in the docs the tests do not run, each with the reason. `understood.py` parses it all the same.

`page` and `what` are patterns as of the shell; `what` is for a command on one line without its comment, or a block of
Python. A row that matches nothing is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from . import pages


@dataclass(frozen=True)
class NotRun:
    page: str
    what: str
    why: str

    def matches(self, page: str, text: str) -> bool:
        return fnmatchcase(page, self.page) and fnmatchcase(text, self.what)


EXCEPTIONS: tuple[NotRun, ...] = (
    NotRun("*", "make *", "minutes to hours each; continuous integration runs them, and that they exist is checked"),
)


def of_command(command: pages.Command) -> NotRun | None:
    return _first(command.block.page, command.plain)


def of_python(block: pages.Block) -> NotRun | None:
    return _first(block.page, block.text)


def _first(page: str, text: str) -> NotRun | None:
    return next((each for each in EXCEPTIONS if each.matches(page, text)), None)
