"""The simulated node's own `sudo`.

The real sudo drops LD_LIBRARY_PATH, PATH and HOME, which are exactly what makes a simulated node the
machine that it is: behind it, one would be on the real machine. Each node has therefore a `sudo` of its own
first on its PATH, in one of three kinds:

- `real`: calls /usr/bin/sudo, which decides as always, and sets the node's environment again inside.
- `simulated`: becomes "root" of the simulated node without changing the user. For fleets of an ordinary
  user, who owns all of the node, the simulated driver included.
- `refused`: answers as sudo does for a user who would need a password.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Literal

Kind = Literal["real", "simulated", "refused"]

# Options of sudo(8) 1.9 that take their value as the next word.
_VALUED = (
    "-u|-g|-p|-h|-C|-c|-D|-R|-r|-t|-T|-U|--user|--group|--prompt|--host|--close-from|--chdir|--chroot|"
    "--role|--type|--command-timeout|--other-user"
)

# Moves sudo's own options behind the command, so that both can be put together again without a quoting trap.
_PARSE = f"""\
user=root
left=$#
while [ "$left" -gt 0 ]; do
  case $1 in
    --) shift; left=$((left - 1)); break ;;
    {_VALUED}|-[!-]*u)
      case $1 in -*u|--user) user=$2 ;; esac
      set -- "$@" "$1" "$2"; shift 2; left=$((left - 2)) ;;
    -u*) user=${{1#-u}}; set -- "$@" "$1"; shift; left=$((left - 1)) ;;
    --user=*) user=${{1#--user=}}; set -- "$@" "$1"; shift; left=$((left - 1)) ;;
    -*) set -- "$@" "$1"; shift; left=$((left - 1)) ;;
    *) break ;;
  esac
done
"""

_REAL = """\
if [ "$left" -eq 0 ]; then exec /usr/bin/sudo "$@"; fi
case $user in
  root|'#0') set -- "$@" -- /usr/bin/env {environment} HOME={root_home} ;;
  {login}) set -- "$@" -- /usr/bin/env {environment} HOME={home} ;;
  *) set -- "$@" -- /usr/bin/env {environment} ;;
esac
while [ "$left" -gt 0 ]; do set -- "$@" "$1"; shift; left=$((left - 1)); done
exec /usr/bin/sudo "$@"
"""

_SIMULATED = """\
if [ "$left" -eq 0 ]; then exit 0; fi
case $user in
  root|'#0') home={root_home} ;;
  {login}) home={home} ;;
  *) echo "sudo: unknown user $user" >&2; exit 1 ;;
esac
set -- "$@" /usr/bin/env {environment} "HOME=$home"
while [ "$left" -gt 0 ]; do set -- "$@" "$1"; shift; left=$((left - 1)); done
while [ "$1" != /usr/bin/env ]; do shift; done
exec "$@"
"""

_REFUSED = """\
case " $* " in
  *" -n "*|*" -nH "*|*" -Hn "*|*" --non-interactive "*) ;;
  *) echo 'sudo: a terminal is required to read the password; either use the -S option to read from' \\
       'standard input or configure an askpass helper' >&2 ;;
esac
echo 'sudo: a password is required' >&2
exit 1
"""


def script(kind: Kind, *, login: str, home: str, root_home: str, environment: Mapping[str, str]) -> str:
    """The text of a node's `sudo`; `environment` is what the command shall find again inside."""
    start = f"#!/bin/sh\n# The sudo of a simulated node ({kind}); see migprov/sim/nodes/sudo.py.\n"
    if kind == "refused":
        return start + _REFUSED
    words = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
    body = _REAL if kind == "real" else _SIMULATED
    filled = body.format(
        environment=words,
        login=shlex.quote(login),
        home=shlex.quote(home),
        root_home=shlex.quote(root_home),
    )
    return start + _PARSE + filled
