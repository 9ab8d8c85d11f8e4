"""The node program while it runs: started, watched by what it leaves behind, and ended with the test."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .conftest import Machine

LIMIT_S = 60.0


def until(happened: Callable[[], Any], what: str) -> Any:
    """Wait until it is so, and return it; the limit only ends a test that fails."""
    limit = time.monotonic() + LIMIT_S
    while not (found := happened()):
        assert time.monotonic() < limit, f"{what} did not happen"
        time.sleep(0.005)
    return found


class Run:
    """One run of the program."""

    def __init__(self, machine: Machine, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self._machine = machine

    def until_journal(self) -> None:
        """Wait until the change has begun: the plan stands, the first step is next."""
        journal = self._machine.home / ".local" / "state" / "migprov" / "journal.jsonl"
        until(lambda: journal.exists() and journal.read_text().count('"planned"'), "a change")

    def reply(self) -> dict[str, Any]:
        """The program's reply; it has to come within the limit."""
        out, _ = self.child.communicate(timeout=LIMIT_S)
        reply: dict[str, Any] = json.loads(out)
        return reply


@contextlib.contextmanager
def running(machine: Machine, task: str, **params: Any) -> Iterator[Run]:
    """Start a task and leave it running."""
    request = {"protocol": 1, "task": task, "params": params, "wait_s": 0}
    child = subprocess.Popen(
        [sys.executable, "-S", "-E", str(machine.pyz)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=machine.env(),
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(request).encode())
    child.stdin.close()
    child.stdin = None
    try:
        yield Run(machine, child)
    finally:
        child.kill()
        child.communicate()
