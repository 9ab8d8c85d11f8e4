"""A program run somewhere: on this machine or on a node, always as a list of words and never through a shell of ours.

What talks to schedulers takes a `Commands`, so one logic serves the library (here, or over a connection of
`migprov.connect`) and the collection (over Ansible's own connection).
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..connect import become
from ..connect.call import Connection
from ..connect.target import Target
from ..errors import CallTimeout

TIMEOUT_S = 120.0
"""Seconds for one command where nothing else is said."""
NOT_FOUND = 127
"""Exit status of a program that is not there, as shells give it."""
_NOT_EXECUTABLE = 126
_NEXT = "look at what it works on; running the same again is safe."


@dataclass(frozen=True)
class Answer:
    """A command that ended: its exit status (-1: ended by a signal) and what it wrote."""

    rc: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Standard error and standard output as one line, for messages."""
        return " ".join(f"{self.err}\n{self.out}".split())


class Commands(Protocol):
    """Somewhere to run programs. `where` is how messages name the place."""

    @property
    def where(self) -> str: ...

    def run(self, argv: Sequence[str], input: str | None = None, timeout_s: float | None = None) -> Answer:
        """Run `argv` with `input` on standard input. A program that is not there gives the exit status 127.

        Raises:
            NodeError: the place cannot be reached, or there was no end within `timeout_s` seconds.
        """


class Local:
    """This machine."""

    where = "this machine"

    def run(self, argv: Sequence[str], input: str | None = None, timeout_s: float | None = None) -> Answer:
        limit = timeout_s or TIMEOUT_S
        try:
            done = subprocess.run(
                list(argv),
                input=input or "",
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CallTimeout(f"{argv[0]} did not end within {limit:g} s here.", next=_NEXT) from None
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            return Answer(NOT_FOUND if missing else _NOT_EXECUTABLE, "", f"{argv[0]}: {os.strerror(error.errno or 0)}")
        return Answer(max(done.returncode, -1), done.stdout, done.stderr)


class OverConnection:
    """A node, over a connection of `migprov.connect`; becomes the target's `become_user` where it asks for that."""

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection = connection
        self._target = target

    @property
    def where(self) -> str:
        return self._target.name

    def run(self, argv: Sequence[str], input: str | None = None, timeout_s: float | None = None) -> Answer:
        command = become.as_user(shlex.join(argv), self._target)
        done = self._connection.execute(command, (input or "").encode(), timeout=timeout_s or TIMEOUT_S)
        if done.rc and (refused := become.refusal(done.rc, done.stderr, self._target)):
            raise refused
        return Answer(done.rc, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


class InEnvironment:
    """`commands` with variables added to the environment of each program, through env(1)."""

    def __init__(self, commands: Commands, variables: Mapping[str, str]) -> None:
        self._commands = commands
        self._words = ["env", *(f"{name}={value}" for name, value in variables.items())]

    @property
    def where(self) -> str:
        return self._commands.where

    def run(self, argv: Sequence[str], input: str | None = None, timeout_s: float | None = None) -> Answer:
        return self._commands.run([*self._words, *argv], input, timeout_s)
