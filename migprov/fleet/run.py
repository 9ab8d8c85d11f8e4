"""One task on many nodes at once: a connection a node, at most `forks` of them at a time."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress

from ..connect.program import program
from ..connect.target import Target
from ..errors import BadRequest, FleetError, FleetInterrupted
from ..result import Result
from .events import Event, Finished, Started
from .turn import Task, Turn

FORKS = 32
"""Nodes at work at once unless said otherwise."""

OnEvent = Callable[[Event], None]


def run(
    targets: Iterable[Target],
    task: Task,
    *,
    forks: int = FORKS,
    on_event: OnEvent | None = None,
    node_timeout_s: float | None = None,
    deadline_s: float | None = None,
    raise_on_error: bool = True,
) -> dict[str, Result]:
    """Run `task` on every target and give each node's Result by its name, in the order of `targets`.

    A node that fails or cannot be reached becomes a Result like any other and stops nobody else. `on_event`
    is called in the calling thread alone.

    `node_timeout_s` bounds one node: connecting, sending the program and the task together, waits that were asked
    for (`drain`) not counted. After it the node's Result has the code `timeout` and the next node begins; a read is
    broken off, a change goes on by itself and its outcome is not known. `deadline_s`: no node is begun after so many
    seconds; those under way are waited for.

        results = migprov.run(targets, lambda node: node.layout(layout))

    Raises:
        BadRequest: two targets have one name, or `forks` or a time is too small. Nothing was contacted.
        FleetError: a node failed or was unreachable (not with `raise_on_error=False`); `.results` has all.
        FleetInterrupted: Ctrl-C. No further node is begun and those under way are waited for; a second
            Ctrl-C does not wait. `.results` has what there is, `.in_hand` the nodes that were not waited for.
    """
    chosen = list(targets)
    _check(chosen, forks, node_timeout_s)
    fleet = _Fleet(chosen, task, node_timeout_s, deadline_s)
    results: dict[str, Result] = {}
    try:
        fleet.start(min(forks, len(chosen)))
        for event in fleet.events():
            _keep(event, results)
            if on_event is not None:
                on_event(event)
    except KeyboardInterrupt as interrupt:
        with suppress(KeyboardInterrupt):  # the second one
            for event in fleet.finish():
                _keep(event, results)
        raise FleetInterrupted(_ordered(chosen, results), fleet.in_hand) from interrupt
    except BaseException:  # raised by on_event: not ours to judge, but nodes under way are not left alone
        for _ in fleet.finish():
            pass
        raise
    results = _ordered(chosen, results)
    if raise_on_error and any(result.failed for result in results.values()):
        raise FleetError(results) from fleet.bug
    return results


def run_iter(
    targets: Iterable[Target],
    task: Task,
    *,
    forks: int = FORKS,
    on_event: OnEvent | None = None,
    node_timeout_s: float | None = None,
    deadline_s: float | None = None,
    stop: threading.Event | None = None,
) -> Generator[Result, None, None]:
    """As `run`, but gives each Result when its node is done with, and keeps none: for fleets of thousands.

    The order is that in which nodes finish. Once `stop` is set no further node is begun, and the iteration ends
    after those under way. Leaving the iteration early does the same and waits for them.

    Raises:
        BadRequest: as `run`.
    """
    chosen = list(targets)
    _check(chosen, forks, node_timeout_s)
    return _results(_Fleet(chosen, task, node_timeout_s, deadline_s, stop), forks, on_event)


def _results(fleet: _Fleet, forks: int, on_event: OnEvent | None) -> Generator[Result, None, None]:
    try:
        fleet.start(min(forks, fleet.total))
        for event in fleet.events():
            if on_event is not None:
                on_event(event)
            if isinstance(event, Finished):
                yield event.result
    finally:
        # At the interpreter's end (an error was let through) the workers are gone, and nothing would ever be told.
        if not sys.is_finalizing():
            for _ in fleet.finish():
                pass


def _keep(event: Event, results: dict[str, Result]) -> None:
    if isinstance(event, Finished):
        results[event.host] = event.result


def _ordered(targets: Sequence[Target], results: dict[str, Result]) -> dict[str, Result]:
    return {target.name: results[target.name] for target in targets if target.name in results}


def _check(targets: Sequence[Target], forks: int, node_timeout_s: float | None) -> None:
    if forks < 1:
        raise BadRequest(f"forks is {forks}; it must be at least 1.")
    if node_timeout_s is not None and node_timeout_s <= 0:
        raise BadRequest(f"the time for a node is {node_timeout_s:g} s; it must be longer than 0.")
    twice = [name for name, count in Counter(target.name for target in targets).items() if count > 1]
    if twice:
        raise BadRequest(f"two nodes have the name {twice[0]!r}.")


class _Fleet:
    """The work in hand: worker threads take targets in order, and tell what happens through a queue.

    A worker whose node is overdue is replaced by another; what it still brings is dropped.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        task: Task,
        node_timeout_s: float | None,
        deadline_s: float | None,
        stop: threading.Event | None = None,
    ) -> None:
        program()  # built once, before threads want it at the same time
        self.total = len(targets)
        self.bug: Exception | None = None
        self._task = task
        self._node_timeout_s = node_timeout_s
        self._deadline_s = deadline_s
        self._until = None if deadline_s is None else time.monotonic() + deadline_s
        self._next = iter(targets)
        self._lock = threading.Lock()
        self._asked_to_stop = stop or threading.Event()
        self._stopping = False
        # Shut until all workers are counted: a Ctrl-C in between must not forget one that has begun a node.
        self._gate = threading.Event()
        # Bounded by `start`: nodes that finish faster than they are told wait, and memory does not grow.
        self._told: queue.Queue[Turn | tuple[Turn, Result] | None] = queue.Queue()
        self._at_work: dict[str, Turn] = {}
        self._done = 0
        self._workers = 0

    @property
    def in_hand(self) -> tuple[str, ...]:
        """The nodes that are at work."""
        return tuple(self._at_work)

    def start(self, forks: int) -> None:
        self._told.maxsize = 2 * forks
        for _ in range(forks):
            self._begin_worker()
            self._workers += 1
        self._gate.set()

    def events(self) -> Iterator[Event]:
        """What happens, until every worker has ended."""
        while self._workers:
            yield from self._overdue()
            try:
                told = self._told.get(timeout=self._patience())
            except queue.Empty:
                continue
            if told is None:
                self._workers -= 1
            elif isinstance(told, Turn):
                self._at_work[told.target.name] = told
                yield Started(told.target.name, self._done, self.total)
            else:
                turn, result = told
                self.bug = self.bug or turn.bug
                yield self._finished(turn, result)

    def finish(self) -> Iterator[Event]:
        """Begin no further node; what happens until those under way are done."""
        self._stopping = True
        self._gate.set()
        yield from self.events()

    def _finished(self, turn: Turn, result: Result) -> Finished:
        self._at_work.pop(turn.target.name, None)
        self._done += 1
        return Finished(turn.target.name, result, self._done, self.total)

    def _patience(self) -> float | None:
        """Seconds until the first node at work is overdue."""
        ends = min((turn.ends for turn in self._at_work.values()), default=None)
        return None if ends is None else max(ends - time.monotonic(), 0)

    def _overdue(self) -> Iterator[Event]:
        now = time.monotonic()
        for turn in [turn for turn in self._at_work.values() if turn.ends <= now]:
            if result := turn.give_up():
                self._begin_worker()  # in place of the one that the node holds, which counts no more
                yield self._finished(turn, result)
            else:
                self._at_work.pop(turn.target.name)  # it has ended; its result is on the way

    def _begin_worker(self) -> None:
        # Daemons, so that a second Ctrl-C, or the end of the program, need not wait for them.
        threading.Thread(target=self._work, name="migprov-worker", daemon=True).start()

    def _work(self) -> None:
        self._gate.wait()
        while (turn := self._take()) is not None:
            if self._until is not None and time.monotonic() >= self._until:
                self._told.put((turn, self._too_late(turn.target)))
                continue
            self._told.put(turn)
            result = turn.work()
            if result is None:
                return  # given up: another worker has taken this one's place
            self._told.put((turn, result))
        self._told.put(None)

    def _take(self) -> Turn | None:
        with self._lock:
            over = self._stopping or self._asked_to_stop.is_set()
            target = None if over else next(self._next, None)
            return None if target is None else Turn(target, self._task, self._node_timeout_s)

    def _too_late(self, target: Target) -> Result:
        message = f"{target.name}: not begun within the {self._deadline_s:g} s of this run; nothing was changed."
        return Result(target.name, "", error={"code": "timeout", "message": message, "next": "run again."})
