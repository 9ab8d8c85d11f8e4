"""What is wrong with a layout file, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from migprov.errors import LayoutFileError


class Problem(NamedTuple):
    """One thing wrong in a layout file: ``line`` counts from 1 (0: the file as a whole)."""

    path: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}. {self.hint}".rstrip()


class LayoutError(LayoutFileError):
    """A layout file that cannot be used. Nothing was contacted or changed.

    ``path``, ``line``, ``message`` and ``hint`` are those of the first problem in the file; ``problems`` has
    all that were found. The text is one line a problem: ``file:line: message. hint``.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        self.path, line, message, self.hint = self.problems[0]
        super().__init__(message, file=self.path, line=line or None, next=self.hint or None)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """The `error` object of a reply; its message has every problem."""
        return {"code": self.code, "message": str(self), "next": self.next}
