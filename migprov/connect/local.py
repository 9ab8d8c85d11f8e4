"""This machine, without SSH: the same command lines, run as a process of ours."""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, cast

from ..errors import CallTimeout, Unreachable
from .bounded import Output
from .call import Finished
from .target import Target


class LocalConnection:
    """Runs commands here. The environment is passed on, so LD_LIBRARY_PATH and PATH choose the driver."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._limit = target.timeout

    def execute(self, command: str, stdin: bytes, *, timeout: float) -> Finished:
        """Run `command` with `stdin` and wait for its end, `timeout` seconds at most.

        Raises:
            CallTimeout: no end in time; the process is not ended, it may be in the middle of a change.
        """
        deadline = time.monotonic() + timeout
        self._limit = timeout
        process = self._spawn(command)
        # A session of its own and no kill: Ctrl-C here must not end a change half-way.
        writer = threading.Thread(target=_feed, args=(process, stdin), daemon=True)
        writer.start()
        try:
            output = self._collect(process, deadline)
            if output.too_long:
                return Finished(-1, output.stdout, output.stderr)
            rc = process.wait(max(deadline - time.monotonic(), 0.001))
        except subprocess.TimeoutExpired:
            raise self._late() from None
        finally:
            for pipe in (process.stdout, process.stderr):
                cast(IO[bytes], pipe).close()
        return Finished(max(rc, -1), output.stdout, output.stderr)

    def close(self) -> None:
        """Nothing is held."""

    def _spawn(self, command: str) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Unreachable(
                f"/bin/sh cannot be started here: {error.strerror}; nothing was changed.",
                host=self._target.name,
            ) from error

    def _collect(self, process: subprocess.Popen[bytes], deadline: float) -> Output:
        output = Output()
        with selectors.DefaultSelector() as selector:
            selector.register(cast(IO[bytes], process.stdout), selectors.EVENT_READ, output.out)
            selector.register(cast(IO[bytes], process.stderr), selectors.EVENT_READ, output.err)
            while selector.get_map() and not output.too_long:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._late()
                for key, _ in selector.select(left):
                    data = os.read(key.fd, 65536)
                    key.data(data)
                    if not data:
                        selector.unregister(key.fileobj)
        return output

    def _late(self) -> CallTimeout:
        return CallTimeout(
            f"no answer within {round(self._limit, 1):g} s; the program was not ended and may still be at work.",
            host=self._target.name,
            next="read this machine with 'migprov info --local'. Running the same again is safe.",
        )


def _feed(process: subprocess.Popen[bytes], stdin: bytes) -> None:
    pipe = cast(IO[bytes], process.stdin)
    # A command that ends before it reads its input breaks the pipe; its exit status tells why.
    with suppress(OSError, ValueError):
        pipe.write(stdin)
    with suppress(OSError, ValueError):
        pipe.close()
