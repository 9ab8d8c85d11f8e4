"""A roll: look at every node, then one batch after another, and stop at the first doubt."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import MigprovError
from . import claim, events, work
from . import extra as extras
from .batch import Batch, Blocked, next_batch
from .limits import Floor
from .look import Look
from .member import Member, of_look
from .record import Record, Story
from .request import ROLLBACK, Prepared
from .steps import Steps
from .turn import Turns

PLAYBOOK_LIMIT_S = 4 * 3600.0
"""How long a roll that is taken up waits for the ansible-playbook of its dead controller."""
_POLL_S = 0.5


class Roll:
    """One run of a roll; iterating carries it out and yields what happens. Nothing is printed.

    A new roll, or with `story` one that is taken up. `stop` may be called from a signal handler or another thread.

    Raises while it is iterated:
        Overlap: another roll works on some of the nodes. Nothing was contacted.
        PlaybookFailed: ansible-playbook could not be run to its end.
        CannotRecord: the record cannot be written.
    """

    def __init__(
        self, prepared: Prepared, *, story: Story | None = None, way: str = "python", base: Path | None = None
    ) -> None:
        self.prepared = prepared
        self.in_hand: tuple[str, ...] = ()
        """The nodes whose turn it is."""
        self.changing = False
        """Whether ansible-playbook may be changing them, and not only looking."""
        self.keeper: int | None = None
        """The process in which ansible-playbook is at work."""
        self.id: str | None = story.id if story else None
        self.story = story
        self._way = way
        self._base = base
        self._stop = threading.Event()
        self._record: Record | None = None
        self.looks: dict[str, Look] = {}
        """What the last look found."""
        self._members: dict[str, Member] = {}
        self._done: list[str] = []
        self._failed: list[str] = []
        self._results: dict[str, str] = {}

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Begin no further batch. What is in hand is finished first."""
        self._stop.set()

    def __iter__(self) -> Iterator[events.Event]:
        if self.prepared.request.check:
            with tempfile.TemporaryDirectory(prefix="migprov-roll-") as private:
                yield from self._checked(work.of(self.prepared, None, None), Path(private) / "runner")
            return
        if self.story is not None:
            record = claim.take_up(self.story, self._way)
        else:
            record = claim.begin(self.prepared, self._way, self._base)
        self._record, self.id = record, record.id
        try:
            yield from self._rolled(record)
        finally:
            record.close()

    # --- a roll ----------------------------------------------------------------------------------------------

    def _rolled(self, record: Record) -> Iterator[events.Event]:
        request, story = self.prepared.request, self.story
        yield events.Begun(record.id, self.prepared.hosts, self.prepared.layout, resumed=story is not None)
        if story is not None:
            yield from self._wait_for_playbook(story)
        shutil.rmtree(record.private, ignore_errors=True)
        copy = record.folder / claim.copy_name(request.file) if request.file else None
        task = work.of(self.prepared, record.id, copy, story)
        if self.stopping:
            yield self._before_anything()
            return
        found: dict[str, Look] = {}
        yield from self._look(task, record.private, "before the first change", found)
        if over := self._not_begun(found):
            yield over
            return
        yield from self._vain_floors()
        yield from self._batches(task, record, story.batches_done if story else 0)

    def _batches(self, task: work.Rollout, record: Record, number: int) -> Iterator[events.Event]:
        limits, first = self.prepared.limits, number
        while True:
            looked_again = bool(limits) and number > first
            if looked_again:
                yield from self._look(task, record.private, f"before batch {number + 1}", {})
            chosen = next_batch(list(self._members.values()), self._done, self.prepared.steps, number, limits)
            if chosen is None:
                yield (self._in_doubt() if looked_again else None) or self._finished(number > first)
                return
            if isinstance(chosen, Blocked):
                yield self._over("stopped", "blocked", f"{chosen.reason}. Nothing was changed since the last batch.")
                return
            if over := self._hold(number - first):
                yield over
                return
            good: list[bool] = []
            yield from self._batch(task, record, chosen, good)
            if not all(good):
                yield self._stopped_by_failure(chosen)
                return
            number += 1

    def _batch(self, task: work.Rollout, record: Record, batch: Batch, good: list[bool]) -> Iterator[events.Event]:
        number = batch.number + 1
        yield self._announced(batch)
        record.write("batch", number=number, hosts=list(batch.hosts))
        self.in_hand, self.changing = batch.hosts, True
        turns = Turns(batch.hosts, task.action)
        yield from self._follow(task.change(batch.hosts, record.private, self._began(record, number)), turns)
        for node in turns.results():
            yield self._settled(record, node)
            good.append(node.good)
        self.in_hand, self.changing, self.keeper = (), False, None
        if not all(good):
            if turns.said and any(node.whole and not node.whole.before for node in turns.results()):
                yield events.Note("ansible-playbook said: " + "\n".join(turns.said[-20:]))
            return
        if self._left() and self.prepared.soak > 0 and not self.stopping:
            yield events.Soaking(self.prepared.soak)
            self._stop.wait(self.prepared.soak)
            if not self.stopping:
                yield from self._healthy(task, record, batch, good)
        if all(good):
            record.write("batch_done", number=number)
            yield events.BatchDone(number)

    def _healthy(self, task: work.Rollout, record: Record, batch: Batch, good: list[bool]) -> Iterator[events.Event]:
        """Ask once more whether the nodes of the batch do their work, after they were watched."""
        self.in_hand = batch.hosts
        turns = Turns(batch.hosts, "")
        yield from self._follow(task.health(batch.hosts, record.private, self._began(record, batch.number + 1)), turns)
        for node in turns.results():
            if node.result in ("failed", "unreachable"):
                yield self._settled(record, replace(node, message=f"after the soak: {node.message}"))
                good.append(False)
        self.in_hand, self.keeper = (), None

    def _follow(self, told: Iterator[dict[str, Any]], turns: Turns) -> Iterator[events.Event]:
        for each in told:
            turns.take(each)
            if each["event"] == "task" and each["host"] in self.in_hand:
                yield events.TaskBegun(each["host"], each["task"])

    def _began(self, record: Record, number: int) -> Callable[[int, int], None]:
        def began(pid: int, ticks: int) -> None:
            self.keeper = pid
            record.write("playbook", number=number, pid=pid, start_ticks=ticks)

        return began

    def _settled(self, record: Record, node: events.NodeDone) -> events.NodeDone:
        """Write down what a node came to, and count it."""
        message = None if node.message is None else extras.masked(node.message, self.prepared.extra)
        record.write("node", host=node.host, result=node.result, message=message, before=node.before, after=node.after)
        self._results[node.host] = node.result
        if node.good:
            self._done.append(node.host)
            self._members[node.host] = self._as_done(node)
        else:
            self._done = [name for name in self._done if name != node.host]
            self._failed.append(node.host)
        return replace(node, message=message)

    def _as_done(self, node: events.NodeDone) -> Member:
        was = self._members[node.host]
        if node.whole is None or node.whole.after is None:
            return replace(was, changes=False, out=None)
        return of_look(node.host, was.groups, {"before": node.whole.after, "planned": []})

    # --- looking ---------------------------------------------------------------------------------------------

    def _look(self, task: work.Rollout, private: Path, why: str, found: dict[str, Look]) -> Iterator[events.Event]:
        """Look at all nodes, and know them from now on."""
        hosts = self.prepared.hosts
        yield events.Looking(hosts, why)
        looked, said = task.look(hosts, private)
        found.update(looked)
        self.looks = looked
        members = {host: looked[host].member(self.prepared.groups[host]) for host in task.ordered(looked)}
        for host in self._done:
            # What is done is not done again by this run, whatever became of it.
            if host in members:
                members[host] = replace(members[host], changes=False)
        self._members = members
        nodes = {host: self._without_secrets(look.to_json()) for host, look in looked.items()}
        if self._record is not None:
            self._record.write("looked", nodes=nodes)
        yield events.Looked(nodes, {host: look.result() for host, look in looked.items()})
        if said and not any(look.reply for look in looked.values()):
            yield events.Note(f"ansible-playbook said: {extras.masked(said, self.prepared.extra)}")
        for look in looked.values():
            if look.interrupted:
                yield events.Note(_interrupted(look))

    def _vain_floors(self) -> Iterator[events.Note]:
        """A floor for what nobody serves holds nobody back, which is not what it looks like."""
        for limit in self.prepared.limits:
            if isinstance(limit, Floor) and not any(m.instances.get(limit.profile) for m in self._members.values()):
                yield events.Note(f"No node serves {limit.profile} now, so the floor {limit} holds nothing back.")

    def _without_secrets(self, found: dict[str, Any]) -> dict[str, Any]:
        error = found["error"]
        return found if error is None else {**found, "error": extras.masked(error, self.prepared.extra)}

    def _not_begun(self, found: dict[str, Look]) -> events.Over | None:
        """Why the roll ends before the first change, if it does."""
        bad = [look for look in found.values() if not look.ready]
        if bad:
            result = "unreachable" if all(look.unreachable for look in bad) else "not_ready"
            names = ", ".join(look.host for look in bad)
            self._failed += [look.host for look in bad]
            reason = (
                f"Not ready: {names}. Nothing was changed anywhere by this run. Put them right, or leave them out with "
                "--limit, then start again."
            )
            return self._over("stopped" if self.story else "ended", result, reason)
        if self.stopping:
            return self._before_anything()
        return None

    def _before_anything(self) -> events.Over:
        reason = "Interrupted before the first change of this run."
        return self._over("stopped" if self.story else "ended", "interrupted", reason)

    # --- the end ---------------------------------------------------------------------------------------------

    def _hold(self, batches: int) -> events.Over | None:
        """Whether to stop here, between two batches."""
        pause = self.prepared.request.pause_after
        if self.stopping:
            return self._over("stopped", "interrupted", "Interrupted; the batch in hand was finished.")
        if pause is not None and batches >= pause:
            return self._over("paused", "paused", f"Paused after {batches} {'batch' if batches == 1 else 'batches'}.")
        return None

    def _stopped_by_failure(self, batch: Batch) -> events.Over:
        bad = [name for name in batch.hosts if name in self._failed]
        reason = f"Batch {batch.number + 1} did not go well ({', '.join(bad)}). No later batch was begun."
        result = "unreachable" if not self._members_failed(bad) else "failed"
        return self._over("stopped", result, reason)

    def _members_failed(self, bad: Sequence[str]) -> bool:
        return any(self._results.get(name) != "unreachable" for name in bad)

    def _in_doubt(self) -> events.Over | None:
        """Why the roll is not at its end though nothing is left to change: what the last look found, if it did."""
        doubts = [look for look in self.looks.values() if self._is_in_doubt(look)]
        if not doubts:
            return None
        untouched = [look.host for look in doubts if look.host not in self._done]
        undone = [look.host for look in doubts if look.host in self._done]
        self._failed += [look.host for look in doubts]
        reason = [f"Not ready: {', '.join(untouched)}. Nothing was changed there by this run."] if untouched else []
        reason += [f"Not as wanted any more, or without an answer: {', '.join(undone)}."] if undone else []
        result = "unreachable" if all(look.unreachable for look in doubts) else "not_ready"
        return self._over("stopped", result, " ".join(reason))

    def _is_in_doubt(self, look: Look) -> bool:
        if look.host in self._done and self.prepared.request.kind == ROLLBACK:
            return not look.reply  # the plan of a node that is back leads forward again
        return not look.ready or (look.host in self._done and bool(look.reply.get("planned")))

    def _finished(self, changed: bool) -> events.Over:
        if changed or self.story is not None:
            return self._over("ended", "done", "Every node is as wanted.")
        return self._over("ended", "nothing_to_do", "Every node was as wanted already; nothing was changed.")

    def _over(self, state: str, result: str, reason: str) -> events.Over:
        if self._record is not None:
            self._record.write(state, reason=reason, result=result)
        kind = self.prepared.request.kind
        return events.Over(
            state, result, reason, self.id, tuple(self._settled_names()), tuple(self._failed), tuple(self._left()), kind
        )

    def _settled_names(self) -> list[str]:
        bad = set(self._failed)
        return [m.name for m in self._members.values() if (m.name in self._done or not m.changes) and m.name not in bad]

    def _left(self) -> list[str]:
        """Nodes that are still to change, or not known."""
        settled = set(self._settled_names())
        return [name for name in self.prepared.hosts if name not in settled]

    def _announced(self, batch: Batch, check: bool = False) -> events.BatchBegun:
        left = [
            m for m in self._members.values() if m.changes and m.name not in self._done and m.name not in batch.hosts
        ]
        more = _batches_left(self.prepared.steps, batch.number + 1, len(left), len(self._members))
        return events.BatchBegun(batch.number + 1, batch.hosts, len(left), batch.number + 1 + more, check)

    # --- taken up --------------------------------------------------------------------------------------------

    def _wait_for_playbook(self, story: Story) -> Iterator[events.Event]:
        """The ansible-playbook of a dead controller goes on by itself; two at once would be in each other's way."""
        if not story.playbook_runs or story.playbook is None:
            return
        pid = story.playbook[0]
        yield events.Note(
            f"The run before this one died, and its ansible-playbook (process {pid}) is still at work on "
            f"{', '.join(story.in_hand) or 'its batch'}; waiting for its end."
        )
        waited = 0.0
        while story.playbook_runs and not self.stopping:
            if waited >= PLAYBOOK_LIMIT_S:
                raise MigprovError(
                    f"The ansible-playbook of the run before (process {pid}) did not end within {waited:g} s.",
                    next=f"see what it does; when it is gone: migprov {self.prepared.request.kind} --resume {story.id}",
                )
            self._stop.wait(_POLL_S)
            waited += _POLL_S

    # --- check -----------------------------------------------------------------------------------------------

    def _checked(self, task: work.Rollout, private: Path) -> Iterator[events.Event]:
        """Look, and say in which batches the nodes would change. Leaves no record."""
        found: dict[str, Look] = {}
        yield from self._look(task, private, "in check mode", found)
        if over := self._not_begun(found):
            yield over
            return
        yield from self._vain_floors()
        number, before = 0, dict(self._members)
        while True:
            members = list(self._members.values())
            chosen = next_batch(members, self._done, self.prepared.steps, number, self.prepared.limits)
            if not isinstance(chosen, Batch):
                break
            yield self._announced(chosen, check=True)
            for host in chosen.hosts:
                self._done.append(host)
                predicted: dict[str, Any] = {"before": found[host].reply.get("after"), "planned": []}
                self._members[host] = of_look(host, self._members[host].groups, predicted)
            number += 1
        would, self._done, self._members = self._done, [], before
        if isinstance(chosen, Blocked):
            yield self._over("ended", "blocked", f"{chosen.reason}. Nothing was changed.")
            return
        reason = (
            f"{len(would)} of {len(self.prepared.hosts)} nodes would change, in {number} batches. Nothing was changed."
        )
        yield self._over("ended", "checked" if would else "nothing_to_do", reason)


def _batches_left(steps: Steps, number: int, left: int, total: int) -> int:
    batches = 0
    while left > 0:
        left -= steps.size(number + batches, total)
        batches += 1
    return batches


def _interrupted(look: Look) -> str:
    change = look.interrupted or {}
    by = f" by {change['who']}" if change.get("who") else ""
    return (
        f"{look.host}: its last change ({change.get('task')}, {change.get('when')}{by}) was interrupted: the run that "
        "made it died on the way. This roll goes on from what its GPUs are."
    )
