"""Keeps the compiled twin of the node program beside it. Travels in the zipapp and runs on the node: Python 3.8.

Compiling the program takes longer than all it does, so each interpreter that runs it keeps it compiled, as
`<digest>-<cache tag>-<sha256 of the twin>.pyc.zip`. The bootstrap finds and checks the twin; this makes it,
and it clears away what is old.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import os
import zipfile
from contextlib import suppress

PROGRAM = ".pyz"
TWIN = ".pyc.zip"
_DIGEST = 64  # hexadecimal digits of a SHA-256
_TIME = (1980, 1, 1, 0, 0, 0)
_UNCHECKED = (1).to_bytes(4, "little")  # PEP 552: compared with no source, so that no times matter
_PROGRAMS = 3
_INTERPRETERS = 4
_HOUR_S = 3600.0


def refresh(folder: str, opened: str, program: str, prefix: str, found: str, broken: list[str]) -> None:
    """Make the twin when none was `found` (empty), then remove what is no longer needed.

    `folder` is the way to the checked folder, `opened` that to the checked program; `program` is the program's
    name in tracebacks. The twin's name begins with `prefix`; `broken` are the files of that name which the
    bootstrap did not use.

    Raises:
        OSError: the folder cannot be written; no part of a twin is left behind.
    """
    if not found:
        for name in broken:  # first: the new one may have the name of a broken one
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))
        make(folder, opened, program, prefix)
    with suppress(OSError):  # another call may be at it too
        tidy(folder, prefix)


def make(folder: str, opened: str, program: str, prefix: str) -> None:
    """Store the compiled twin for the interpreter that runs. For the parameters and errors see `refresh`."""
    new = os.path.join(folder, "new-" + os.urandom(8).hex())
    # Opened first: where nothing can be written, nothing is compiled in vain.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            data = compiled(opened, program)
            file.write(data)
        os.rename(new, os.path.join(folder, prefix + hashlib.sha256(data).hexdigest() + TWIN))
    except BaseException:
        os.unlink(new)
        raise


def compiled(opened: str, program: str) -> bytes:
    """The zipapp at `opened` with bytecode in place of its sources; stored, because inflating takes longer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(opened) as sources, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as twin:
        for name in sources.namelist():
            content = sources.read(name)
            if name.endswith(".py"):
                code = compile(content, program + "/" + name, "exec", dont_inherit=True)
                head = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(content)
                name, content = name + "c", head + marshal.dumps(code)
            twin.writestr(zipfile.ZipInfo(name, _TIME), content)
    return buffer.getvalue()


def tidy(folder: str, prefix: str) -> None:
    """Keep the three newest programs, the twin of each for four interpreters, and no upload that broke off.

    The program and interpreter of `prefix` stay in any case. Other nodes may share the folder: where two of them
    made a twin at the same time, both stay for an hour, as both are run.
    """
    times = {name: os.lstat(os.path.join(folder, name)).st_mtime for name in os.listdir(folder)}
    # By the clock of the file system, which need not be that of this node.
    old = {name for name, time in times.items() if time < max(times.values()) - _HOUR_S}
    names = sorted(times, key=lambda name: (not name.startswith(prefix[:_DIGEST]), -times[name]))
    programs = [name for name in names if name.endswith(PROGRAM) and len(name) == _DIGEST + len(PROGRAM)]
    gone = {name for name in old if name.startswith("new-")}.union(programs[_PROGRAMS:])
    twins = sorted(filter(_is_twin, names), key=lambda name: not name.startswith(prefix))
    gone.update(twins)
    for program in programs[:_PROGRAMS]:
        gone -= _kept([name for name in twins if name.startswith(program[:_DIGEST])], old)
    for name in gone:
        with suppress(OSError):
            os.unlink(os.path.join(folder, name))


def _is_twin(name: str) -> bool:
    return name.endswith(TWIN) and len(name) > 2 * _DIGEST + len(TWIN) and name[_DIGEST] == "-"


def _kept(twins: list[str], old: set[str]) -> set[str]:
    """Those of the twins of one program, the newest first, that stay."""
    first: dict[str, str] = {}
    for name in twins:
        first.setdefault(_tag(name), name)
    tags = list(first)[:_INTERPRETERS]
    return {name for name in twins if _tag(name) in tags and (name not in old or name in first.values())}


def _tag(name: str) -> str:
    return name[_DIGEST : -_DIGEST - len(TWIN)]
