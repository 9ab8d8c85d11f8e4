"""One call of the node program over any connection: run it, and send it first when it is missing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import BadReply, CannotStore, ProgramMissing
from . import become
from .command import install_command, run_command, understand
from .program import program
from .target import Target


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit status (-1: ended by a signal) and what it wrote."""

    rc: int
    stdout: bytes
    stderr: bytes


class Connection(Protocol):
    """A way to run commands on one node."""

    def execute(self, command: str, stdin: bytes, *, timeout: float) -> Finished:
        """Run `command` (any login shell reads it) with `stdin`; raise a NodeError after `timeout` seconds."""

    def close(self) -> None:
        """Let go of the node. Never raises."""


def call(connection: Connection, target: Target, request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to `request`: one round trip, two when the node does not have the program yet.

    Raises:
        NodeError: no reply came; `code` says why. A reply that carries an error is returned.
    """
    shipped = program()
    body = json.dumps(request, separators=(",", ":")).encode()
    deadline = time.monotonic() + target.timeout
    try:
        return _ask(connection, target, run_command(shipped.digest, python=target.python), body, deadline)
    except ProgramMissing:
        command = install_command(shipped.digest, len(shipped.data), python=target.python)
    try:
        return _ask(connection, target, command, shipped.data + body, deadline)
    except ProgramMissing:
        raise CannotStore(
            "the node program was stored and was not there at once afterwards; nothing was changed.",
            host=target.name,
            next="see what removes files from ~/.cache/migprov on the node.",
        ) from None


def _ask(connection: Connection, target: Target, command: str, stdin: bytes, deadline: float) -> dict[str, Any]:
    line = become.as_user(command, target)
    done = connection.execute(line, stdin, timeout=max(deadline - time.monotonic(), 0.001))
    try:
        return understand(done.rc, done.stdout, done.stderr, host=target.name)
    except BadReply:
        refused = None if done.stdout.strip() else become.refusal(done.rc, done.stderr, target)
        if refused is not None:
            raise refused from None
        raise
