"""A control node before simulated nodes: `migprov` as people run it, its record, and what it leaves on the disk."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from migprov.fleet.roll.folder import start_ticks
from migprov.fleet.roll.record import Story, stories
from tests.cli import conftest as cli

PROGRAM = [sys.executable, "-m", "migprov.cli"]
LONGEST_S = 300.0
LAYOUTS = """\
version: v1
mig-configs:
  voice:
    - devices: [1]
      mig-enabled: true
      mig-devices: {3g.40gb: 2}
  impossible:
    - devices: [1]
      mig-enabled: true
      mig-devices: {4g.40gb: 2}
"""


class Answer(cli.Answer):
    """Its exit code is negative where a signal ended it."""

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of that kind."""
        return [line for line in self.lines if line["event"] == kind]


class Control:
    """Runs `migprov` in a folder of its own. Use as a context: nothing that it started outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.layouts = folder / "layouts.yml"
        self.layouts.write_text(LAYOUTS)
        self.environment = {"XDG_STATE_HOME": str(self.state), "TMPDIR": str(self.tmp)}
        self._running: list[subprocess.Popen[str]] = []

    def run(self, *arguments: object) -> Answer:
        """Run a command to its end."""
        return self.finish(self.start(*arguments))

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Begin a command."""
        process = subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, **self.environment},
        )
        self._running.append(process)
        return process

    def finish(self, process: subprocess.Popen[str]) -> Answer:
        """Wait for the end of a command."""
        out, err = process.communicate(timeout=LONGEST_S)
        assert "Traceback" not in err, err
        return Answer(process.returncode, out, err)

    def story(self) -> Story:
        """The newest roll."""
        return stories(self.state / "migprov" / "rolls")[-1]

    def journal(self) -> list[dict[str, Any]]:
        """The lines of the newest roll."""
        return [json.loads(line) for line in (self.story().folder / "journal.jsonl").read_text().splitlines()]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait until the newest roll has so many lines of that event; gives the last of them."""
        with contextlib.suppress(StopIteration):
            return next(line for line in self._until(event, count) if line is not None)
        raise AssertionError(f"no {event} within {LONGEST_S:g} s: {self.journal()}")

    def _until(self, event: str, count: int) -> Iterator[dict[str, Any] | None]:
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            with contextlib.suppress(IndexError, ValueError):
                found = [line for line in self.journal() if line["event"] == event]
                yield found[count - 1] if len(found) >= count else None
            time.sleep(0.05)

    def wait_for_playbook(self) -> None:
        """Wait until no ansible-playbook of the newest roll is at work."""
        end = time.monotonic() + LONGEST_S
        while self.story().playbook_runs:
            assert time.monotonic() < end
            time.sleep(0.05)

    def close(self) -> None:
        """End what is still running."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for story in stories(self.state / "migprov" / "rolls"):
            if story.playbook and start_ticks(story.playbook[0]) == story.playbook[1]:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(story.playbook[0], signal.SIGKILL)
