"""The node program as a process that answers many requests, each for the simulated node that it names.

Starting Python for each of thousands of requests would take most of the time. What runs is the program's own code,
real nvidia-ml-py and the simulated library; only its reading of one request a process is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from migprov.sim.driver import SimNode


class NodeProgram:
    """Asks the process; see `node_program`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, node: SimNode, task: str, **params: Any) -> dict[str, Any]:
        """The reply of the node to a task."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        environment = {"MIGPROV_SIM_STATE": str(node.directory / "state"), "PATH": node.env()["PATH"]}
        request = {"protocol": 1, "task": task, "params": params}
        self._process.stdin.write(json.dumps({"env": environment, "request": request}) + "\n")
        self._process.stdin.flush()
        reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        return reply


@contextmanager
def node_program(node: SimNode) -> Iterator[NodeProgram]:
    """The program, with the library of `node`; other nodes have the same library and another state."""
    with tempfile.TemporaryDirectory(prefix="migprov-test-") as home:
        root = str(Path(__file__).resolve().parents[2])
        environment = {**node.env(), "HOME": home, "PYTHONPATH": root}
        process = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield NodeProgram(process)
        finally:
            process.kill()
            process.communicate()


def serve() -> None:
    """Answer requests, one a line, until standard input ends."""
    from migprov.node import request
    from migprov.node.__main__ import answer

    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.update(asked["env"])
        print(
            json.dumps(answer(request.parse(asked["request"]), lambda reply: print(json.dumps(reply), flush=True))),
            flush=True,
        )


if __name__ == "__main__":
    serve()
