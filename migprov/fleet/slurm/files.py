"""Files on the machine that has Slurm's configuration: read, and replaced whole or not at all."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from ..commands import NOT_FOUND, Commands
from .errors import SlurmError

# $1 the file, $2 the SHA-256 of what was read (or "none"), $3 the end of the backup's name; the new text on standard
# input. The lock keeps two of these apart; the sum finds everybody else. A symbolic link stays one.
_REPLACE = r"""
set -eu
path=$(readlink -f -- "$1") || path=$1
folder=$(dirname -- "$path")
exec 9<"$folder"
flock -w 30 9 2>/dev/null || :
if [ "$2" = none ]; then
    [ ! -e "$path" ] || exit 75
else
    [ "$(sha256sum <"$path" | cut -d' ' -f1)" = "$2" ] || exit 75
fi
fresh=$(mktemp -- "$path.XXXXXX")
trap 'rm -f -- "$fresh"' EXIT
if [ "$2" = none ]; then
    chmod 0644 -- "$fresh"
else
    cp -p -- "$path" "$fresh"
    [ -e "$path.$3" ] || cp -p -- "$path" "$path.$3"
fi
cat >"$fresh"
sync -- "$fresh"
mv -f -- "$fresh" "$path"
"""
_CHANGED_MEANWHILE = 75
_MISSING = 66
_READ = r"""[ -e "$1" ] || exit 66; exec cat -- "$1" """


def read_file(commands: Commands, path: str) -> str | None:
    """The text of a file; None where there is none. Raises SlurmError where it cannot be read."""
    answer = commands.run(["sh", "-c", _READ, "sh", path])
    if answer.rc == _MISSING:
        return None
    if answer.rc:
        raise SlurmError(
            f"{path} on {commands.where} cannot be read: {answer.said[:200]}; nothing was changed.",
            next="read it as root (gpu_drain_slurm_become), or give its path (gpu_drain_slurm_conf).",
        )
    return answer.out


def replace_file(commands: Commands, path: str, old: str | None, new: str) -> bool:
    """Put `new` in the place of `old` (None: no file yet). False where the file is not `old` any more.

    As it was before the first change of a day it stays beside it, as `<path>.migprov-<date>~`.

    Raises:
        SlurmError: it cannot be written; it is as it was.
    """
    digest = "none" if old is None else hashlib.sha256(old.encode("utf-8", "surrogateescape")).hexdigest()
    backup = f"migprov-{datetime.now(UTC).date().isoformat()}~"
    answer = commands.run(["sh", "-c", _REPLACE, "sh", path, digest, backup], new)
    if answer.rc == _CHANGED_MEANWHILE:
        return False
    if answer.rc:
        missing = "a program is missing: " if answer.rc == NOT_FOUND else ""
        raise SlurmError(
            f"{path} on {commands.where} cannot be written: {missing}{answer.said[:200]}; it is as it was.",
            next="write it as root (gpu_drain_slurm_become); its folder must be writable too.",
        )
    return True
