"""The node program, once for each request: forked from a process that has loaded it, which is quicker than Python.

Each runs with limits of memory and processor time, reads a pipe and writes to files, and ends by itself.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MEMORY = 1 << 30
PROCESSOR_S = 30


class Ended(NamedTuple):
    """How a run of the program ended: what waitpid says, standard output, standard error."""

    status: int
    out: bytes
    err: bytes


class NodeProcess:
    """Runs requests; see `node_process`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, request: bytes) -> Ended:
        """One run of the program with this on its standard input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(base64.b64encode(request) + b"\n")
        self._process.stdin.flush()
        status, out, err = json.loads(self._process.stdout.readline())
        return Ended(status, base64.b64decode(out), base64.b64decode(err))


@contextmanager
def node_process(environment: dict[str, str]) -> Iterator[NodeProcess]:
    """The process from which the program is forked, in the environment of a node."""
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, __file__],
        env={**environment, "PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield NodeProcess(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def serve() -> None:
    import migprov.node.__main__  # noqa: F401 (loaded before the forks)

    for line in sys.stdin.buffer:
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(base64.b64decode(line))
            given.seek(0)
            child = os.fork()
            if child == 0:
                _child(given.fileno(), out.fileno(), err.fileno())
            _, status = os.waitpid(child, 0)
            out.seek(0)
            err.seek(0)
            told = [base64.b64encode(stream.read()).decode() for stream in (out, err)]
        print(json.dumps([status, *told]), flush=True)


def _child(given: int, out: int, err: int) -> None:
    from migprov.node.__main__ import main

    for number, descriptor in enumerate((given, out, err)):
        os.dup2(descriptor, number)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    status = 70
    try:
        status = main()
        sys.stdout.flush()
    except BaseException:  # what Python does where nobody catches it
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve()
