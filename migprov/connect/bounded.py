"""What a command wrote, kept within bounds."""

from __future__ import annotations

from .command import MAX_REPLY, MAX_STDERR


class Output:
    """Standard output up to just over `MAX_REPLY` bytes, and the last `MAX_STDERR` bytes of standard error."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._err = bytearray()

    @property
    def too_long(self) -> bool:
        """True when there is more standard output than any reply has: stop reading."""
        return len(self._out) > MAX_REPLY

    def out(self, data: bytes) -> None:
        self._out += data[: MAX_REPLY + 1 - len(self._out)]

    def err(self, data: bytes) -> None:
        self._err += data
        if len(self._err) > 2 * MAX_STDERR:
            del self._err[:-MAX_STDERR]

    @property
    def stdout(self) -> bytes:
        return bytes(self._out)

    @property
    def stderr(self) -> bytes:
        return bytes(self._err[-MAX_STDERR:])
