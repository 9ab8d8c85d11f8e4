"""A layout that is in place already, applied again on a node with eight GPUs: what that takes, and what of it where.

python3 noop.py PHASES DIGEST REQUEST    (on the node, by itself: the phases of one run as JSON)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
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
PHASES = ("imports", "nvmlInit", "read, plan", "nvmlShutdown", "reply")
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
        words = [PYTHON, *FLAGS, str(Path(__file__).resolve()), "PHASES", self.digest, self.apply.decode()]
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


# -- on the node: Python 3.8 -----------------------------------------------------------------------------------------


def phases(digest: str, request: str) -> dict[str, float]:
    """Run the request as `quick.py` would, from the compiled twin, with a clock between the phases."""
    import marshal

    folder = os.path.join(os.environ["HOME"], ".cache", "migprov")
    (name,) = [each for each in os.listdir(folder) if each.startswith(digest + "-" + sys.implementation.cache_tag)]
    clock = [time.perf_counter()]
    with open(os.path.join(folder, name), "rb") as file:
        twin = marshal.loads(file.read()[4:])  # noqa: S302
    inside: dict[str, Any] = {}
    exec(twin[0], inside)  # noqa: S102
    inside["offer"](twin, digest, -1)
    import migprov_node.node.__main__ as main  # type: ignore[import-not-found]
    import pynvml
    from migprov_node.node.nvml import Nvml  # type: ignore[import-not-found]

    clock.append(time.perf_counter())
    spent = [0.0]
    _count_time(pynvml, spent)
    asked = main.requests.parse(json.loads(request))
    nvml = Nvml()
    nvml.__enter__()
    clock.append(time.perf_counter())
    outcome = main.tasks.run(nvml, asked, print)
    clock.append(time.perf_counter())
    nvml.__exit__()
    clock.append(time.perf_counter())
    json.dumps(main._reply(asked.task, asked.check, outcome), ensure_ascii=True)
    clock.append(time.perf_counter())
    took = {name: after - before for name, before, after in zip(PHASES, clock, clock[1:])}  # noqa: B905
    return {**took, "driver": spent[0]}


def _count_time(pynvml: Any, spent: list[float]) -> None:
    """Let every call of the library add what it takes; the clock itself takes 0.1 us of it."""
    found = pynvml._nvmlGetFunctionPointer

    def clocked(name: str) -> Any:
        function = found(name)

        def call(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                spent[0] += time.perf_counter() - began

        return call

    pynvml._nvmlGetFunctionPointer = clocked


if __name__ == "__main__":
    print(json.dumps(phases(sys.argv[2], sys.argv[3])))
