"""The moments of a roll: Ansible and the controller stop at each and wait until the test has done what it wants."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOOKS = Path(__file__).parent / "rolls_hooks"
Moment = dict[str, Any]
"""`kind` is `play` (a batch begins), `task`, `before_line` or `after_line` (of the record); `pid` is who waits."""


class Moments:
    """Listens, and calls `act` at each moment, in a thread of its own, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.act: Callable[[Moment], None] = lambda moment: None
        self.seen: list[Moment] = []
        self.problems: list[BaseException] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What lets a program meet here, beside `HOOKS/python` on its PYTHONPATH."""
        return {
            "ANSIBLE_CALLBACK_PLUGINS": str(HOOKS / "callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "moments",
            "MIGPROV_TEST_MOMENTS": str(self._path),
        }

    @contextlib.contextmanager
    def acting(self, act: Callable[[Moment], None]) -> Iterator[list[Moment]]:
        """Call `act` at every moment from now on; gives the list of the moments seen. Raises what `act` raised."""
        self.seen, self.problems, self.act = [], [], act
        try:
            yield self.seen
        finally:
            self.act = lambda moment: None
        if self.problems:
            raise self.problems[0]

    def close(self) -> None:
        """Listen no more."""
        # Closing alone would not wake who waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError), line.makefile() as words:
                moment = json.loads(words.readline() or "null")
                if moment is not None:
                    self._act(moment)
                    line.sendall(b"\n")

    def _act(self, moment: Moment) -> None:
        self.seen.append(moment)
        try:
            self.act(moment)
        except BaseException as error:  # told to the test, which waits elsewhere
            self.problems.append(error)
