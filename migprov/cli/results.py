"""How results are told as they come: a JSON object a line, or text for people. Given in the inventory's order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import click

from ..result import Result
from . import exits, output
from .notes import interrupted

if TYPE_CHECKING:
    from rich.console import RenderableType

FOLDED_ABOVE = 20
"""Nodes above which those that have the same to say are told together."""


class Report(Protocol):
    """Takes the result of one node after another."""

    def add(self, result: Result) -> None: ...

    def end(self) -> None: ...


@dataclass
class Tally:
    """How the nodes of a run fared. An unreachable node is not among the failed ones."""

    nodes: int = 0
    failed: int = 0
    unreachable: int = 0

    def add(self, result: Result) -> None:
        self.nodes += 1
        self.unreachable += result.unreachable
        self.failed += result.failed and not result.unreachable

    @property
    def code(self) -> int:
        """The exit code that this amounts to."""
        if self.failed:
            return exits.FAILED
        return exits.UNREACHABLE if self.unreachable else exits.DONE


class JsonLines:
    """A line a node, written at once."""

    def add(self, result: Result) -> None:
        output.print_json([result])
        if said := interrupted(result):
            click.echo(f"Note: {result.host}: {said}", err=True)

    def end(self) -> None:
        """There is no last line."""


class Listed:
    """For what speaks of all nodes together: `show` gets all results at the end."""

    def __init__(self, show: Callable[[list[Result]], None]) -> None:
        self._show = show
        self._results: list[Result] = []

    def add(self, result: Result) -> None:
        self._results.append(result)

    def end(self) -> None:
        self._show(self._results)


@dataclass
class Told:
    """What a command says of one node, in full and (`brief`) where nodes are told together; who counts as `good`.

    The first part of `brief` begins with the node's name and a colon.
    """

    full: Callable[[Result], Iterable[RenderableType]]
    brief: Callable[[Result], Iterable[RenderableType]]
    good: tuple[str, Callable[[Result], bool]]
    totals: Callable[[Result], None] | None = None
    ending: Callable[[], Iterable[RenderableType]] = field(default=lambda: ())


class Blocks:
    """Text for people, a block a node; above `FOLDED_ABOVE` nodes (unless `each`) one for all that say the same."""

    def __init__(self, told: Told, nodes: int, *, each: bool = False) -> None:
        from .folded import Folded  # rich is for people only

        self._told = told
        self._tally = Tally()
        self._good = 0
        self._folded = None if each or nodes <= FOLDED_ABOVE else Folded(told.brief)
        # A progress line on the same terminal must not get text in between.
        self._held: list[str] | None = [] if sys.stderr.isatty() else None

    def add(self, result: Result) -> None:
        self._tally.add(result)
        self._good += self._told.good[1](result)
        if self._told.totals is not None:
            self._told.totals(result)
        if self._folded is not None:
            self._folded.add(result)
        else:
            self._write(output.rendered(self._told.full(result)))

    def end(self) -> None:
        from .text import last_line

        if self._folded is not None:
            for block in self._folded.blocks():
                self._write(block)
            self._write(output.rendered(self._told.ending()))
        counts = {self._told.good[0]: self._good}
        self._write(output.rendered(last_line(self._tally.nodes, self._tally.failed, self._tally.unreachable, counts)))
        output.write("".join(self._held or ()))

    def _write(self, text: str) -> None:
        if self._held is None:
            output.write(text)
        else:
            self._held.append(text)
