"""What the kernel says of a process: its command and its user."""

from __future__ import annotations

import os
import pwd
from typing import Tuple


def who(pid: int) -> Tuple[str, str]:
    """(command, user) of a process; ``?`` where it is gone or not visible from this pid namespace."""
    root = "/proc/%d" % pid
    try:
        with open(root + "/comm", encoding="utf-8", errors="replace") as file:
            command = file.read().strip() or "?"
        uid = os.stat(root).st_uid
    except OSError:
        return "?", "?"
    try:
        return command, pwd.getpwuid(uid).pw_name
    except KeyError:
        return command, str(uid)
