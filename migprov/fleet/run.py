"""One task on many nodes at once: a connection a node, at most `forks` of them at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..connect.node import Node, open_node
from ..connect.program import program
from ..connect.target import Target
from ..errors import BadRequest, FleetError, FleetInterrupted, MigprovError, NodeError
from ..result import Result
from .events import Event, Finished, Started

FORKS = 32
"""Nodes at work at once unless said otherwise."""

Task = Callable[[Node], Result]


def run(
    targets: Iterable[Target],
    task: Task,
    *,
    forks: int = FORKS,
    on_event: Callable[[Event], None] | None = None,
    deadline_s: float | None = None,
    raise_on_error: bool = True,
) -> dict[str, Result]:
    """Run `task` on every target and give each node's Result by its name, in the order of `targets`.

    A node that fails or cannot be reached becomes a Result like any other and stops nobody else. `on_event`
    is called in the calling thread alone. `deadline_s`: no node is begun after so many seconds; those
    under way are waited for, because a change is never broken off.

        results = migprov.run(targets, lambda node: node.layout(layout))

    Raises:
        BadRequest: two targets have one name, or `forks` is not at least 1. Nothing was contacted.
        FleetError: a node failed or was unreachable (not with `raise_on_error=False`); `.results` has all.
        FleetInterrupted: Ctrl-C. No further node is begun and those under way are waited for; a second
            Ctrl-C does not wait. `.results` has what there is.
    """
    chosen = list(targets)
    _check(chosen, forks)
    program()  # built once, before threads want it at the same time
    fleet = _Fleet(chosen, task, deadline_s)
    try:
        fleet.start(min(forks, len(chosen)))
        for event in fleet.events():
            if on_event is not None:
                on_event(event)
    except KeyboardInterrupt as interrupt:
        fleet.finish()
        raise FleetInterrupted(fleet.results()) from interrupt
    except BaseException:  # raised by on_event: not ours to judge, but nodes under way are not left alone
        fleet.finish()
        raise
    results = fleet.results()
    if raise_on_error and any(result.failed for result in results.values()):
        raise FleetError(results) from fleet.bug
    return results


def _check(targets: Sequence[Target], forks: int) -> None:
    if forks < 1:
        raise BadRequest(f"forks is {forks}; it must be at least 1.")
    twice = [name for name, count in Counter(target.name for target in targets).items() if count > 1]
    if twice:
        raise BadRequest(f"two nodes have the name {twice[0]!r}.")


class _Fleet:
    """The work in hand: worker threads take targets in order, and tell what happens through a queue."""

    def __init__(self, targets: Sequence[Target], task: Task, deadline_s: float | None) -> None:
        self._targets = targets
        self._task = task
        self._until = None if deadline_s is None else time.monotonic() + deadline_s
        self._deadline_s = deadline_s
        self._next = iter(targets)
        self._lock = threading.Lock()
        self._stopping = False
        # Shut until all workers are counted: a Ctrl-C in between must not forget one that has begun a node.
        self._gate = threading.Event()
        self._told: queue.SimpleQueue[Target | tuple[Target, Result] | None] = queue.SimpleQueue()
        self._results: dict[str, Result] = {}
        self._workers = 0
        self.bug: Exception | None = None

    def start(self, forks: int) -> None:
        for number in range(forks):
            # Daemons, so that a second Ctrl-C need not wait for them.
            threading.Thread(target=self._work, name=f"migprov-{number}", daemon=True).start()
            self._workers += 1
        self._gate.set()

    def events(self) -> Iterator[Event]:
        """What happens, until every worker has ended."""
        total = len(self._targets)
        while self._workers:
            told = self._told.get()
            if told is None:
                self._workers -= 1
            elif isinstance(told, Target):
                yield Started(told.name, len(self._results), total)
            else:
                target, result = told
                self._results[target.name] = result
                yield Finished(target.name, result, len(self._results), total)

    def finish(self) -> None:
        """Begin no further node and wait for those under way."""
        self._stopping = True
        self._gate.set()
        for _ in self.events():
            pass

    def results(self) -> dict[str, Result]:
        return {t.name: self._results[t.name] for t in self._targets if t.name in self._results}

    def _work(self) -> None:
        self._gate.wait()
        try:
            while (target := self._take()) is not None:
                if self._until is not None and time.monotonic() >= self._until:
                    self._told.put((target, self._too_late(target)))
                    continue
                self._told.put(target)
                self._told.put((target, self._one(target)))
        finally:
            self._told.put(None)

    def _take(self) -> Target | None:
        with self._lock:
            return None if self._stopping else next(self._next, None)

    def _one(self, target: Target) -> Result:
        try:
            with open_node(target) as node:
                return self._task(node)
        except NodeError as error:
            return Result.from_error(target.name, "", error)
        except MigprovError as error:
            return Result(target.name, "", error=error.to_json())
        except Exception as error:  # a bug in the task must not cost the other nodes their results
            self.bug = self.bug or error
            message = f"{target.name}: the task raised {type(error).__name__}: {error}"
            return Result(target.name, "", error={"code": "internal", "message": message, "next": None})

    def _too_late(self, target: Target) -> Result:
        message = f"{target.name}: not begun within the {self._deadline_s:g} s of this run; nothing was changed."
        return Result(target.name, "", error={"code": "timeout", "message": message, "next": "run again."})
