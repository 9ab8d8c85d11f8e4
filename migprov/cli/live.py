"""A roll while it runs: a live view on a terminal, plain lines elsewhere, or JSON; and Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ..errors import MigprovError
from ..fleet.roll import events
from ..result import Result
from . import ctrl_c, exits, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..fleet.roll import Roll

_CODES = {"not_ready": exits.FAILED, "failed": exits.FAILED, "blocked": exits.FAILED}
_SHOWN = 12


def follow(
    roll: Roll,
    *,
    as_json: bool,
    diff: bool,
    notes: list[str],
    quiet: bool = False,
    also: Callable[[events.Event], None] = lambda _event: None,
) -> int:
    """Carry a roll out and show it; returns the exit code. `quiet`: nothing but Ctrl-C is shown."""
    view = View(roll, as_json=as_json, diff=diff, quiet=quiet)
    code = exits.FAILED
    try:
        with view.shown(), _ctrl_c(roll, view):
            for note in notes:
                view.take(events.Note(note))
            for event in roll:
                view.take(event)
                also(event)
                if isinstance(event, events.Over):
                    code = code_of(event)
    except MigprovError as error:
        if not as_json:
            raise
        output.write(json.dumps({"event": "error", **error.to_json()}) + "\n")
        raise
    return code


def code_of(over: events.Over) -> int:
    """The exit code of a roll that is over."""
    if over.result == "interrupted":
        return exits.INTERRUPTED
    if over.result == "unreachable":
        return exits.UNREACHABLE
    return _CODES.get(over.result, exits.DONE)


class View:
    """What happens, for people on standard error, or for programs on standard output."""

    def __init__(self, roll: Roll, *, as_json: bool, diff: bool, quiet: bool) -> None:
        self._roll = roll
        self._as_json = as_json
        self._diff = diff
        self._quiet = quiet or as_json
        self._live: Any = None
        self._tasks: dict[str, tuple[str, float]] = {}
        self._batch: events.BatchBegun | None = None
        self._state = ""
        self._counts = {"done": 0, "failed": 0}

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live view, where there is a terminal."""
        if self._quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.live import Live

        with Live(
            console=Console(stderr=True, highlight=False),
            get_renderable=self._table,
            refresh_per_second=4,
            transient=True,
        ) as live:
            self._live = live
            yield
        self._live = None

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str, style: str = "") -> None:
        """A line on standard error, above the live view."""
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(text, style=style), soft_wrap=True)
        else:
            click.echo(text, err=True)

    def take(self, event: events.Event) -> None:
        """Show one event."""
        if self._as_json:
            output.write(json.dumps(event.to_json()) + "\n")
        if isinstance(event, events.TaskBegun):
            self._tasks[event.host] = (event.task, self._tasks.get(event.host, ("", time.monotonic()))[1])
        elif isinstance(event, events.NodeDone):
            self._counts["done" if event.good else "failed"] += 1
            self._tasks.pop(event.host, None)
        elif isinstance(event, events.BatchBegun) and not event.check:
            self._batch = event
            self._state = f"batch {event.number} of {event.of}"
            self._tasks = {host: ("waiting for its turn", time.monotonic()) for host in event.hosts}
        if not self._quiet:
            for text, style in lines(event, diff=self._diff):
                self.say(text, style)

    def _table(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        left = self._batch.left if self._batch else len(self._roll.prepared.hosts)
        counts = f"{self._counts['done']} done, {self._counts['failed']} failed, {left} left after this batch"
        title = Text(f"{self._state or 'looking at every node'}: {counts}", style="italic")
        table = Table(box=box.SIMPLE, show_header=False)
        now = time.monotonic()
        for host, (task, since) in list(self._tasks.items())[:_SHOWN]:
            table.add_row(host, f"{now - since:.0f} s", task)
        if len(self._tasks) > _SHOWN:
            table.add_row("", "", f"and {len(self._tasks) - _SHOWN} more")
        if self._roll.stopping:
            table.add_row("", "", "stops after this batch")
        return Group(title, table)


def lines(event: events.Event, *, diff: bool) -> Iterator[tuple[str, str]]:
    """An event in words, with a style for terminals."""
    if isinstance(event, events.Begun):
        what = "Going on with" if event.resumed else "Roll"
        yield f"{what} {event.id}: {event.layout} on {_count(event.hosts)}", "bold"
    elif isinstance(event, events.Note):
        yield f"Note: {event.text}", "yellow"
    elif isinstance(event, events.Looking):
        yield f"Looking at {_count(event.hosts)} {event.why}", ""
    elif isinstance(event, events.Looked):
        yield from _looked(event, diff)
    elif isinstance(event, events.BatchBegun):
        would = "would be " if event.check else ""
        yield f"Batch {event.number} of {event.of} {would}{', '.join(event.hosts)}", "bold"
    elif isinstance(event, events.NodeDone):
        colour = "green" if event.good else "red"
        yield f"{event.host}: {event.result}" + (f": {event.message}" if event.message else ""), colour
        if diff and event.whole is not None and event.good:
            yield from ((f"  {line}", "") for line in event.whole.diff.splitlines())
    elif isinstance(event, events.Soaking):
        yield f"Watching the batch for {event.seconds:g} s", ""
    elif isinstance(event, events.Over):
        yield from _over(event)


def _looked(event: events.Looked, diff: bool) -> Iterator[tuple[str, str]]:
    for host, node in event.nodes.items():
        if node["error"]:
            yield f"{host}: not ready: {node['error']}", "red"
        elif node["steps"]:
            yield f"{host}: {len(node['steps'])} steps to do", ""
        elif node["changes"]:
            yield f"{host}: as wanted, but {node.get('drained', 'drained')}: to be given back", "yellow"
        else:
            yield f"{host}: as wanted", "green"
        result = event.results.get(host)
        if diff and result is not None and result.diff:
            yield from ((f"  {line}", "") for line in result.diff.splitlines())


def _over(over: events.Over) -> Iterator[tuple[str, str]]:
    good = over.result in ("done", "nothing_to_do", "checked", "paused")
    yield over.reason, "bold green" if good else "bold red"
    yield f"{len(over.done)} done, {len(over.failed)} failed, {len(over.left)} left", ""
    if over.resumable:
        yield f"Next: migprov {over.kind} --resume {over.id}", "cyan"


def _count(hosts: tuple[str, ...]) -> str:
    return f"{len(hosts)} node{'' if len(hosts) == 1 else 's'}"


def _ctrl_c(roll: Roll, view: View) -> contextlib.AbstractContextManager[None]:
    """The first Ctrl-C stops the roll after what is in hand; a second one leaves at once, and ends nothing."""

    def first() -> None:
        roll.stop()
        view.say(_stopping(roll))

    def again() -> None:
        view.close()
        click.echo(_left_behind(roll), err=True)

    return ctrl_c.twice(lambda: roll.stopping, first, again, also=(signal.SIGTERM,))


def _stopping(roll: Roll) -> str:
    if roll.changing:
        return f"Finishing the batch in hand: {', '.join(roll.in_hand)}; then stops. Press Ctrl-C again not to wait."
    return "Stops before anything else is changed; what is being looked at is finished."


def _left_behind(roll: Roll) -> str:
    if not roll.changing:
        return "Left. No node is being changed by this roll."
    id = f" {roll.id}" if roll.id else ""
    return (
        f"Left without waiting. In hand: {', '.join(roll.in_hand)}. ansible-playbook (process {roll.keeper}) goes "
        "on with them by itself and was not ended; later nodes are not begun.\n"
        f"Next: migprov status, then migprov {roll.prepared.request.kind} --resume{id}, which waits for it and goes on."
    )


class Outcome:
    """One Result a node, whatever became of the roll."""

    def __init__(self, roll: Roll) -> None:
        self._roll = roll
        self._results: dict[str, Result] = {}
        self._over: events.Over | None = None

    def take(self, event: events.Event) -> None:
        """One event more."""
        if isinstance(event, events.Over):
            self._over = event
        elif isinstance(event, events.NodeDone) and event.whole is not None:
            self._results[event.host] = event.whole
        elif isinstance(event, events.Looked):
            for host, result in event.results.items():
                self._results.setdefault(host, result)

    def results(self) -> list[Result]:
        """The results in the inventory's order. A node whose turn did not come was not changed, and says so."""
        found = [self._results.get(host) or Result(host, "") for host in self._roll.prepared.hosts]
        return [self._not_begun(result) if result.check else result for result in found]

    def _not_begun(self, look: Result) -> Result:
        if look.failed or not look.planned:
            return replace(look, check=False, changed=False, steps=(), after=look.before)
        over = self._over
        message = f"{look.host}: its turn did not come; nothing was changed." + (f" {over.reason}" if over else "")
        next = f"migprov {over.kind} --resume {over.id}" if over and over.resumable else None
        error = {"code": "not_begun", "message": message, "next": next}
        return replace(look, check=False, changed=False, steps=(), after=look.before, error=error)
