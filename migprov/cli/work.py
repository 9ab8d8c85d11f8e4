"""Run one task on the chosen nodes, with progress while it takes time, and report the outcome."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import click

from ..errors import FleetInterrupted
from ..result import Result
from . import exits
from .notes import interrupted
from .output import print_json
from .where import Where

if TYPE_CHECKING:
    from ..connect.node import Node
    from ..fleet.events import Event

Task = Callable[["Node"], Result]
Show = Callable[[list[Result]], None]


def work(where: Where, task: Task, show: Show, *, as_json: bool, writes: bool) -> int:
    """Run `task` on the nodes of `where` and show the results; returns the exit code.

    `writes`: whether the task may change nodes, which is what to say when it is interrupted.
    """
    from ..fleet.run import run

    def asked(node: Node) -> Result:
        node.way = "cli"
        return task(node)

    targets = where.targets()
    names = [target.name for target in targets]
    tracker = _Tracker(len(targets))
    try:
        with tracker.shown(), _on_ctrl_c(names, tracker, writes):
            results = run(targets, asked, forks=where.forks, on_event=tracker.tell, raise_on_error=False)
    except FleetInterrupted as stop:
        _report(list(stop.results.values()), show, as_json)
        return _interrupted(names, stop.results, tracker.at_work, writes)
    _report(list(results.values()), show, as_json)
    return exits.of_results(results.values())


def _report(results: list[Result], show: Show, as_json: bool) -> None:
    if as_json:
        print_json(results)
        for result in results:
            if said := interrupted(result):
                click.echo(f"Note: {result.host}: {said}", err=True)
    else:
        show(results)


def _interrupted(names: list[str], finished: dict[str, Result], at_work: set[str], writes: bool) -> int:
    """Say what a run that was broken off has and has not done."""
    begun = {*finished, *at_work}
    untouched = [name for name in names if name not in begun]
    left = [name for name in names if name in at_work and name not in finished]
    click.echo("Interrupted.", err=True)
    if left and writes:
        click.echo(
            f"May still be changing (not ended, a half-done change would be worse): {', '.join(left)}.", err=True
        )
        click.echo("Next: see how they are with 'migprov info'; running the same command again is safe.", err=True)
    if untouched:
        click.echo(f"Not begun, unchanged: {', '.join(untouched)}.", err=True)
    return exits.INTERRUPTED


@contextlib.contextmanager
def _on_ctrl_c(names: list[str], tracker: _Tracker, writes: bool) -> Iterator[None]:
    """Say at once that Ctrl-C was noticed: the nodes under way are waited for, which may take minutes.

    A second Ctrl-C leaves at once, from wherever the program is.
    """
    presses = 0

    def pressed(number: int, frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            tracker.close()
            sys.stdout.flush()
            code = _interrupted(names, tracker.finished, tracker.at_work, writes)
            sys.stderr.flush()
            os._exit(code)
        if tracker.at_work:
            at_work = ", ".join(sorted(tracker.at_work))
            click.echo(f"\nWaiting for what is under way: {at_work}. Press Ctrl-C again not to wait.", err=True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Tracker:
    """Which nodes are at work, and a progress line on a terminal while more than one is."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.at_work: set[str] = set()
        self.finished: dict[str, Result] = {}
        self._advance: Callable[[], None] = lambda: None
        self.close: Callable[[], None] = lambda: None  # gives the terminal back

    def tell(self, event: Event) -> None:
        from ..fleet.events import Finished

        if isinstance(event, Finished):
            self.at_work.discard(event.host)
            self.finished[event.host] = event.result
        else:
            self.at_work.add(event.host)
        self._advance()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        if self.total < 2 or not sys.stderr.isatty():
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
        failed = sum(result.failed for result in self.finished.values())
        return text + (f"  {failed} failed" if failed else "")
