"""A simulated node's own `reboot` and `shutdown`, and how to see that it has rebooted.

They lie first on the node's PATH. Absolute paths such as /sbin/shutdown are those of the real machine, so the inventory
of the nodes says what reboots them.
"""

from __future__ import annotations

import os
import shlex
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

# Not a process of the node: its own reboot must not end it. Hence no variable of the session, a session of its own,
# and a parent that is gone. HUP is ignored because the terminal that Ansible asks for may go before setsid has run.
_REBOOT = """\
#!/bin/sh
# The reboot of a simulated node; see migprov/sim/nodes/power.py.
if [ "$(id -u)" != 0 ] && [ ! -O {directory} ]; then
  echo 'reboot: must be superuser' >&2
  exit 1
fi
cd /
trap '' HUP
exec setsid -f env -i {environment} {python} -m migprov.cli sim reboot -n {directory} </dev/null >{log} 2>&1
"""
_SHUTDOWN = """\
#!/bin/sh
# The shutdown of a simulated node, which only reboots; see migprov/sim/nodes/power.py.
case " $* " in
  *" -r "*|*" --reboot "*) exec {reboot} ;;
esac
echo 'shutdown: a simulated node only reboots (-r)' >&2
exit 1
"""


def write_programs(node: Path) -> None:
    """Put `reboot` and `shutdown` into the `bin` of the node in that folder."""
    outer = {name: value for name in ("PATH", "HOME", "PYTHONPATH") if (value := os.environ.get(name))}
    words = " ".join(shlex.quote(f"{name}={value}") for name, value in outer.items())
    programs: Mapping[str, str] = {
        "reboot": _REBOOT.format(
            directory=shlex.quote(str(node)),
            environment=words,
            python=shlex.quote(sys.executable),
            log=shlex.quote(str(node / "reboot.log")),
        ),
        "shutdown": _SHUTDOWN.format(reboot=shlex.quote(str(node / "bin" / "reboot"))),
    }
    for name, text in programs.items():
        path = node / "bin" / name
        path.write_text(text)
        path.chmod(0o755)


def booted(node: Path) -> None:
    """Give the node in that folder a new boot id, as a kernel has one each time it starts."""
    path = node / "boot_id"
    path.write_text(f"{uuid.uuid4()}\n")
    path.chmod(0o644)


def reboot_command(node: Path) -> str:
    """The command that reboots the node, for a shell; its first word is an absolute path without spaces."""
    return f"/bin/sh {shlex.quote(str(node / 'bin' / 'reboot'))}"


def boot_time_command(node: Path) -> str:
    """A command whose answer changes when the node has rebooted."""
    return f"cat {shlex.quote(str(node / 'boot_id'))}"
