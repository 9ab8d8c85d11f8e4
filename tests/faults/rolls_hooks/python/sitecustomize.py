"""The controller of a roll waits before and after each line of its record until the test lets it go on.

Python imports this by its name at its start where the folder is on PYTHONPATH.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

_write = os.write


def _tell(when: str, text: bytes) -> None:
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ["MIGPROV_TEST_MOMENTS"])
        moment = {"kind": when, "line": json.loads(text), "pid": os.getpid()}
        line.sendall((json.dumps(moment) + "\n").encode())
        line.recv(1)


def _write_and_tell(descriptor: int, data: Any) -> int:
    place = ""
    with contextlib.suppress(OSError):
        place = os.readlink(f"/proc/self/fd/{descriptor}")
    if not place.endswith("/journal.jsonl") or "/rolls/" not in place:
        return _write(descriptor, data)
    _tell("before_line", bytes(data))
    written = _write(descriptor, data)
    _tell("after_line", bytes(data))
    return written


if "MIGPROV_TEST_MOMENTS" in os.environ:
    os.write = _write_and_tell
