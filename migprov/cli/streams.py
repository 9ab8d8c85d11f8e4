"""Standard streams that never end a command: closed ones, a full disk, a reader that has gone.

What a command does on nodes must not depend on whether somebody can read what it says about it.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO


class Lenient(io.FileIO):
    """A standard stream. After its first error, kept in `error`, what is still written goes nowhere."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data)
        while self.error is None:
            try:
                written = super().write(view)
            except OSError as error:
                self.error = error
                break
            if written is not None:
                return written
            select.select([], [self.fileno()], [])  # somebody else made it non-blocking
        return view.nbytes


def prepare() -> None:
    """Give this process standard streams that it can rely on.

    One that is closed is opened on `/dev/null`: else the next connection gets its number, and what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    # Those that a caller has put in their place are his.
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _lenient(sys.stdout, 1)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _lenient(sys.stderr, 2)


def lost() -> str | None:
    """Why a part of standard output was lost, or None. A reader that has gone (`| head`) wanted no more."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, Lenient) else None
    return None if error is None or error.errno == errno.EPIPE else error.strerror or str(error)


def _lenient(stream: TextIO | None, number: int) -> TextIO:
    by_line = number == 2 or os.isatty(number)
    return io.TextIOWrapper(
        io.BufferedWriter(Lenient(number, "w", closefd=False)),
        encoding=stream.encoding if stream else "utf-8",
        errors=stream.errors if stream else "backslashreplace",
        line_buffering=by_line or bool(getattr(stream, "write_through", False)),
    )
