"""Run one task on the chosen nodes, with progress while it takes time, and report the outcome."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from ..result import Result
from . import ctrl_c, exits
from .ordered import in_order
from .results import Blocks, JsonLines, Listed, Report, Tally, Told
from .where import Where

if TYPE_CHECKING:
    from ..connect.node import Node
    from ..fleet.events import Event

Task = Callable[["Node"], Result]
Show = Callable[[list[Result]], None]


def work(where: Where, task: Task, show: Show | Told | None, *, as_json: bool, writes: bool, each: bool = False) -> int:
    """Run `task` on the nodes of `where` and report the results in the inventory's order; returns the exit code.

    `show` says what is told of one node, as it comes, or gets all results at the end; with `as_json` it is not asked.
    `each`: every node by itself, however many there are. `writes`: whether the task may change nodes, which is what
    to say when it is interrupted.
    """
    from ..fleet.run import run_iter

    def asked(node: Node) -> Result:
        node.way = "cli"
        return task(node)

    targets = where.targets()
    names = [target.name for target in targets]
    report = _report(show, as_json, len(names), each)
    tracker, tally, stop = _Tracker(len(names)), Tally(), threading.Event()
    results = run_iter(
        targets, asked, forks=where.forks, on_event=tracker.tell, node_timeout_s=where.node_timeout, stop=stop
    )
    with (
        tracker.shown(hidden=as_json and sys.stdout.isatty()),
        _on_ctrl_c(names, tracker, stop, writes),
        # Whatever ends the telling, nodes under way are waited for here and not while Python shuts down.
        contextlib.closing(results),
    ):
        for result in in_order(results, names):
            tally.add(result)
            report.add(result)
    report.end()
    if stop.is_set():
        return _interrupted(names, tracker, writes)
    return tally.code


def _report(show: Show | Told | None, as_json: bool, nodes: int, each: bool) -> Report:
    if as_json or show is None:
        return JsonLines()
    return Blocks(show, nodes, each=each) if isinstance(show, Told) else Listed(show)


def _interrupted(names: list[str], tracker: _Tracker, writes: bool) -> int:
    """Say what a run that was broken off has and has not done."""
    untouched = [name for name in names if name not in tracker.finished and name not in tracker.at_work]
    left = [name for name in names if name in tracker.at_work]
    click.echo("Interrupted.", err=True)
    if left and writes:
        click.echo(
            f"May still be changing (not ended, a half-done change would be worse): {', '.join(left)}.", err=True
        )
        click.echo("Next: see how they are with 'migprov info'; running the same command again is safe.", err=True)
    if untouched:
        click.echo(f"Not begun, unchanged: {', '.join(untouched)}.", err=True)
    return exits.INTERRUPTED


def _on_ctrl_c(
    names: list[str], tracker: _Tracker, stop: threading.Event, writes: bool
) -> contextlib.AbstractContextManager[None]:
    """Say at once that Ctrl-C was noticed: the nodes under way are waited for, which may take minutes."""

    def first() -> None:
        stop.set()
        if tracker.at_work:
            at_work = ", ".join(sorted(tracker.at_work))
            click.echo(f"\nWaiting for what is under way: {at_work}. Press Ctrl-C again not to wait.", err=True)

    def again() -> None:
        tracker.close()
        _interrupted(names, tracker, writes)

    return ctrl_c.twice(stop.is_set, first, again)


class _Tracker:
    """Which nodes are at work, and a progress line on a terminal while more than one is."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.at_work: set[str] = set()
        self.finished: set[str] = set()
        self._failed = 0
        self._advance: Callable[[], None] = lambda: None
        self.close: Callable[[], None] = lambda: None  # gives the terminal back

    def tell(self, event: Event) -> None:
        from ..fleet.events import Finished

        if isinstance(event, Finished):
            self.at_work.discard(event.host)
            self.finished.add(event.host)
            self._failed += event.result.failed
        else:
            self.at_work.add(event.host)
        self._advance()

    @contextlib.contextmanager
    def shown(self, *, hidden: bool) -> Iterator[None]:
        if hidden or self.total < 2 or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            self.close = progress.stop
            bar = progress.add_task("", total=self.total)
            self._advance = lambda: progress.update(bar, completed=len(self.finished), description=self._in_words())
            yield

    def _in_words(self) -> str:
        names = sorted(self.at_work)
        text = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        return text + (f"  {self._failed} failed" if self._failed else "")
