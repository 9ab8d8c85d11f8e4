"""A layout that is in place already, applied again on a node with eight GPUs: what that takes, and what of it where."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PYTHON = "/usr/bin/python3"
FLAGS = ("-E", "-s", "-S")
PASS = "`python3 -c pass`"  # noqa: S105
BARE_FLAGS = "`python3 -E -s -S -c pass`"
NOOP = "apply of the layout that is there"
INFO = "`info`"
LAYOUT = ("3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb")


class OneNode:
    """A simulated node with the layout in place, and processes on it."""

    def __init__(self, folder: Path) -> None:
        from migprov.connect.command import install_command, run_command
        from migprov.connect.program import program
        from migprov.sim.driver import SimNode

        self.sim = SimNode.create(folder / "node", "8xA100-80GB")
        home = folder / "home"
        home.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), **self.sim.env()}
        instances = [{"profile": name, "start": None, "compute_instances": None} for name in LAYOUT]
        entry = {"device_filter": None, "devices": "all", "mig_enabled": True, "instances": instances, "source": ""}
        self.apply = _request("layout", {"entries": [entry]})
        self.info = _request("info", {})
        self.digest = program().digest
        first = ["/bin/sh", "-c", install_command(self.digest, len(program().data), python=PYTHON)]
        self.ask(first, program().data + self.apply)
        self.run = ["/bin/sh", "-c", run_command(self.digest, python=PYTHON)]
        if self.ask(self.run, self.apply)["changed"]:
            raise SystemExit("the layout was not in place")

    def ask(self, words: list[str], stdin: bytes) -> dict[str, Any]:
        """The reply of the node program."""
        done = subprocess.run(words, input=stdin, env=self.environment, capture_output=True, check=True)
        reply: dict[str, Any] = json.loads(done.stdout)
        if reply.get("error"):
            raise SystemExit(reply["error"]["message"])
        return reply

    def calls(self, request: bytes) -> int:
        """How many calls of NVML a request makes."""
        self.sim.reset_counters()
        self.ask(self.run, request)
        return sum(self.sim.counters().values())

    def phases(self) -> dict[str, float]:
        """One run, from within: seconds of each phase, and of the driver's own calls."""
        words = [PYTHON, *FLAGS, str(Path(__file__).with_name("phases.py").resolve()), self.digest, self.apply.decode()]
        done = subprocess.run(words, env=self.environment, capture_output=True, check=True)
        return dict(json.loads(done.stdout))

    def ways(self) -> dict[str, Callable[[], float]]:
        """What is measured side by side."""
        from benchmarks.measure import process

        return {
            PASS: lambda: process([PYTHON, "-c", "pass"]),
            BARE_FLAGS: lambda: process([PYTHON, *FLAGS, "-c", "pass"]),
            NOOP: lambda: process(list(self.run), self.environment, self.apply),
            INFO: lambda: process(list(self.run), self.environment, self.info),
        }


@contextmanager
def one_node() -> Iterator[OneNode]:
    with tempfile.TemporaryDirectory(prefix="migprov-noop-") as folder:
        yield OneNode(Path(folder))


def _request(task: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"protocol": 1, "task": task, "params": params, "check": False, "wait_s": 5}).encode()
