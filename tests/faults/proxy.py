"""A TCP proxy that breaks the connection: after so many bytes in one direction, or when told."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from types import TracebackType
from typing import Self

RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes one connection after another on to `port` of this machine. A context manager.

    `limits`: (bytes from the client, bytes to the client) after which the connection breaks, None for none.
    `counts`: the bytes of the last connection.
    """

    def __init__(self, port: int, limits: tuple[int | None, int | None] = (None, None)) -> None:
        self._to = ("127.0.0.1", port)
        self._limits = limits
        self.counts = [0, 0]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.cut()
        self._thread.join()
        for each in (self._listener, self._wake, self._woken):
            each.close()

    def cut(self) -> None:
        """Break the connection, and let none through any more."""
        with contextlib.suppress(OSError):
            self._wake.send(b"x")

    def _serve(self) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._listener, selectors.EVENT_READ)
            waiting.register(self._woken, selectors.EVENT_READ)
            while not any(key.fileobj is self._woken for key, _ in waiting.select()):
                client = self._listener.accept()[0]
                self.counts = [0, 0]
                if self._pass(client, socket.create_connection(self._to)):
                    return

    def _pass(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass bytes on until an end of the connection closes or it has to break. True when told to end."""
        ends = (client, server)
        try:
            with selectors.DefaultSelector() as waiting:
                for each in (*ends, self._woken):
                    waiting.register(each, selectors.EVENT_READ)
                while True:
                    for key, _ in waiting.select():
                        if key.fileobj is self._woken:
                            return True
                        if not self._step(ends, 0 if key.fileobj is client else 1):
                            return False
        except OSError:
            return False
        finally:
            for each in ends:  # a reset, not a farewell
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                each.close()

    def _step(self, ends: tuple[socket.socket, socket.socket], way: int) -> bool:
        data = ends[way].recv(65536)
        limit = self._limits[way]
        if limit is not None:
            data = data[: max(0, limit - self.counts[way])]
        ends[1 - way].sendall(data)
        self.counts[way] += len(data)
        return bool(data) and (limit is None or self.counts[way] < limit)
