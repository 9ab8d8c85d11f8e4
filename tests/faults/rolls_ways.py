"""The two ways to roll a layout out, and to take it up again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from migprov.sim.nodes import processes as running

from .rolls import NAME, Ground

LIMIT_S = 1800.0
"""After which a roll of the tests counts as one that never ends."""


@dataclass(frozen=True)
class Ended:
    """A program that has ended: its exit status, and all that it said."""

    status: int
    said: str


@dataclass(frozen=True)
class Way:
    """The command lines of one way. `unreachable`: the exit statuses of a roll in which a node was only unreachable."""

    name: str
    first: Callable[[Ground], list[str]]
    again: Callable[[Ground], list[str]]
    unreachable: frozenset[int]


def _playbook(ground: Ground) -> list[str]:
    variables = {
        "mig_layout_file": str(ground.layout),
        "mig_layout_name": NAME,
        "mig_layout_steps": list(ground.steps),
        **ground.variables,
    }
    return [
        "ansible-playbook",
        "migprov.gpu.rollout",
        *("-i", str(ground.fleet.inventory)),
        *("-e", json.dumps(variables)),
    ]


def _command(ground: Ground) -> list[str]:
    where = ["-i", str(ground.fleet.inventory), "--steps", ",".join(map(str, ground.steps))]
    return ["migprov", "rollout", str(ground.layout), NAME, *where, *_extra(ground)]


def _resume(ground: Ground) -> list[str]:
    return ["migprov", "rollout", "--resume", *_extra(ground)]


def _extra(ground: Ground) -> list[str]:
    """Their values are kept in no record, so they are given each time."""
    return ["-e", json.dumps(dict(ground.variables))] if ground.variables else []


# ansible-playbook answers 2 when the guard of the next batch fails, 4 when there was no next batch.
PLAYBOOK = Way("ansible-playbook", _playbook, _playbook, frozenset({2, 4}))
COMMAND = Way("migprov rollout", _command, _resume, frozenset({4}))
WAYS = (PLAYBOOK, COMMAND)


@contextmanager
def started(ground: Ground, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command line, started as a shell does in a process group of its own; nothing of it is left in the end."""
    process = subprocess.Popen(
        command,
        cwd=ground.folder / "home",
        env=ground.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            end_all(process)
        process.communicate()


def end_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a command and all that it started, also in sessions of their own."""
    root = running.identify(process.pid)
    if root is not None:
        assert running.end(lambda: [root, *running.offspring([root])]) == []


def run(ground: Ground, command: list[str], acting: AbstractContextManager[object] | None = None) -> Ended:
    """Run a command line to its end, with something that acts at its moments."""
    with acting or nullcontext(), started(ground, command) as process:
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{' '.join(command)} did not end within {LIMIT_S:g} s") from None
    return Ended(process.returncode, said)
