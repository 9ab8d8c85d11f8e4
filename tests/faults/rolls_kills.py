"""The controller of a roll killed with SIGKILL at a moment, and everything that must be true then and afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from migprov.sim.nodes import FleetNode

from .rolls import WRITES, Ground, changed
from .rolls_faults import CREATE
from .rolls_moments import Moment
from .rolls_ways import COMMAND, LIMIT_S, Ended, Way, end_all, run, started

ALL = "everything"
CONTROLLER = "the controller"
"""Its process group alone: what it started in a session of its own lives on for a moment."""


@dataclass(frozen=True)
class Kill:
    """The `nth` (from 0) moment of that kind, and what dies then; `label` says what begins, or which line it is."""

    kind: str
    nth: int
    what: str
    label: str

    @property
    def row(self) -> str:
        """What it counts as."""
        kinds = {"task": "a task begins", "before_line": "before a line of the record", "after_line": "after a line"}
        return f"{self.what} killed: {kinds[self.kind]}"

    @property
    def name(self) -> str:
        """Which one."""
        return f"{self.nth + 1} ({self.label})"


@dataclass
class Died:
    """What was true when the controller died."""

    wanted: list[str] = field(default_factory=list)
    writes: Mapping[str, int] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def in_hand(self) -> list[str]:
        """By the lines that were written: the batch that was begun last, less its nodes that have a result."""
        hosts: list[str] = []
        for line in self.lines:
            if line["event"] == "batch":
                hosts = list(line["hosts"])
            elif line["event"] == "node":
                hosts.remove(line["host"])
        return hosts


def every(ground: Ground, way: Way) -> Iterator[Kill]:
    """All moments of an undisturbed roll."""
    ground.reset()
    ground.variables = {}
    with ground.moments.acting(lambda moment: None) as seen:
        ended = run(ground, way.first(ground))
    assert ended.status == 0, ended.said
    counted: Counter[str] = Counter()
    for moment in seen:
        kind = moment["kind"]
        if kind == "play":
            continue
        label = moment["task"] if kind == "task" else moment["line"]["event"]
        yield Kill(kind, counted[kind], ALL, label)
        if kind == "after_line":
            yield Kill(kind, counted[kind], CONTROLLER, label)
        counted[kind] += 1


def killed_and_taken_up_again(ground: Ground, way: Way, kill: Kill) -> None:
    """Killed, then told, then finished."""
    ground.reset()
    ground.variables = {}
    died = killed(ground, way, kill)
    story = _told(ground, died) if way is COMMAND else None
    begun = story is not None or way is not COMMAND
    over = bool(died.lines) and died.lines[-1]["event"] == "ended"
    if not over:
        ended = run(ground, way.again(ground) if begun else way.first(ground))
        assert ended.status == 0, f"again: {ended.status}\n{ended.said}"
    assert ground.wanted() == ground.names
    again = [name for name in changed(died.writes, ground.writes()) if name in died.wanted]
    assert again == [], f"done, and written to again: {again}"
    # A node finishes what it was told to do, whatever becomes of who told it; so nothing is ever done twice.
    assert set(ground.writes().values()) == {WRITES}, ground.writes()


def killed(ground: Ground, way: Way, kill: Kill) -> Died:
    """Run it until that moment."""
    counted: Counter[str] = Counter()

    def comes(moment: Moment) -> bool:
        number = counted[moment["kind"]]
        counted[moment["kind"]] += 1
        return (moment["kind"], number) == (kill.kind, kill.nth)

    return killed_when(ground, way, kill.what, comes)


def killed_when(ground: Ground, way: Way, what: str, comes: Callable[[Moment], bool]) -> Died:
    """Run it until the first moment for which that is true."""
    died = Died()
    ready, hit = threading.Event(), threading.Event()

    def act(moment: Moment) -> None:
        ready.wait()
        if hit.is_set():
            return  # what outlives the controller
        if moment["kind"] == "after_line":
            died.lines.append(moment["line"])
        if comes(moment):
            hit.set()
            # Everything waits here, so this is what is true when it dies.
            died.wanted, died.writes = ground.wanted(), ground.writes()
            end(process, what)

    with ground.moments.acting(act), started(ground, way.first(ground)) as process:
        ready.set()
        said, _ = process.communicate(timeout=LIMIT_S)
    assert hit.is_set(), f"that moment never came:\n{said}"
    return died


def end(process: subprocess.Popen[str], what: str) -> None:
    """SIGKILL: the process group of a command, or that and all its offspring."""
    if what == CONTROLLER:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        end_all(process)


def _told(ground: Ground, died: Died) -> dict[str, Any] | None:
    """`migprov status` names the roll, as what it is, with the nodes in hand; None where no roll had begun."""
    told = run(ground, ["migprov", "status", "--json"])
    assert told.status == 0, told.said
    rolls = json.loads(told.said)["rolls"]
    if not died.lines:
        assert rolls == []
        return None
    (story,) = rolls
    last = died.lines[-1]["event"]
    assert story["state"] == ("ended" if last == "ended" else "killed"), story
    assert story["in_hand"] == died.in_hand, (story, died.lines)
    if last != "ended":
        assert story["next"] == f"migprov rollout --resume {story['id']}", story
        shown = run(ground, ["migprov", "status"]).said
        assert all(word in shown for word in (story["id"], "killed", *died.in_hand)), shown
    return dict(story)


def half_changed(ground: Ground, way: Way, name: str) -> None:
    """A node dies in the middle of its change, and the controller with it; the next run says so and finishes."""
    ground.reset()
    ground.variables = {}
    node = ground.fleet.node(name)
    node.sim.fault(0, CREATE, hang_s=3600, skip=1, times=1)
    with started(ground, way.first(ground)) as process:
        _wait_for_hang(node, process)
        end_all(process)
    ground.end_programs()
    node.sim.clear_faults()
    done, before = ground.wanted(), ground.writes()
    assert name not in done
    if way is COMMAND:
        (story,) = json.loads(run(ground, ["migprov", "status", "--json"]).said)["rolls"]
        assert (story["state"], name in story["in_hand"]) == ("killed", True), story
    ended = run(ground, way.again(ground))
    assert ended.status == 0, ended.said
    assert _says_interrupted(ended, name), f"not said that {name} was half-changed:\n{ended.said}"
    assert ground.wanted() == ground.names
    assert [each for each in changed(before, ground.writes()) if each in done] == []


def _wait_for_hang(node: FleetNode, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while node.sim.counters().get(CREATE, 0) < 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the write that hangs was never begun"
        time.sleep(0.02)


def _says_interrupted(ended: Ended, name: str) -> bool:
    return any("interrupted" in part and name in part for part in " ".join(ended.said.split()).split("[WARNING]"))
