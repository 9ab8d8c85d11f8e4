"""Who asks for a change, as the node's journal tells it. No secret is in it: a name, a machine, a way in."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping


def who(way: str, environment: Mapping[str, str] = os.environ) -> str:
    """Such as `ops@control1 (cli)`: the user and machine of the control side, and the way in.

    Behind sudo it is the user who called sudo, because root can be anybody.
    """
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    called_by = environment.get("SUDO_USER", "") if uid == 0 else ""
    name = f"{called_by} as {user}" if called_by and called_by != user else user
    return f"{name}@{socket.gethostname()} ({way})"
