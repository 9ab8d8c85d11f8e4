"""The node program as real processes, one a request, that start as quickly as a fork.

A server that has imported the program forks for every request; the child is the program itself, from reading the
request on its standard input to its exit status, and can be killed like one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a run ended: its exit status (negative: the signal), what it answered, its standard error."""

    status: int
    reply: dict[str, Any] | None
    stderr: str


class Server:
    """Runs the program; see `server`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, request: object, environment: Mapping[str, str]) -> Ended:
        """One run of the program with this request; `environment` is added to the server's."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"env": dict(environment), "request": request}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        text = answer["stdout"]
        return Ended(answer["status"], json.loads(text) if text else None, answer["stderr"])


@contextmanager
def server(environment: Mapping[str, str]) -> Iterator[Server]:
    """A server whose children find the simulated library that `environment` names."""
    with tempfile.TemporaryDirectory(prefix="migprov-test-") as home:
        process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, **environment, "HOME": home, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Server(process)
        finally:
            process.kill()
            process.communicate()


def serve() -> None:
    """Answer requests, one a line, until standard input ends."""
    import migprov.node.__main__  # noqa: F401  # every child has it then

    requests = os.fdopen(os.dup(0), "r")
    answers = os.fdopen(os.dup(1), "w")
    for line in iter(requests.readline, ""):
        asked = json.loads(line)
        files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
        os.pwrite(files[0], json.dumps(asked["request"]).encode(), 0)
        pid = os.fork()
        if pid == 0:
            _be_the_program(files, asked["env"])
        _, status = os.waitpid(pid, 0)
        out, err = (os.pread(fd, 1 << 24, 0).decode() for fd in files[1:])
        for fd in files:
            os.close(fd)
        answers.write(json.dumps({"status": os.waitstatus_to_exitcode(status), "stdout": out, "stderr": err}) + "\n")
        answers.flush()


def _be_the_program(files: list[int], environment: Mapping[str, str]) -> None:
    """In the child: as if started anew with these files; never returns."""
    from migprov.node.__main__ import main

    status = 70
    try:
        for number, fd in enumerate(files):
            os.dup2(fd, number)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0, "r"), os.fdopen(1, "w"), os.fdopen(2, "w")
        os.environ.update(environment)
        status = main()
        sys.stdout.flush()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
