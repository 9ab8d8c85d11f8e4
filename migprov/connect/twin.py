"""Keeps the compiled twin of the node program beside it. Travels in the zipapp and runs on the node: Python 3.8.

Compiling the program takes longer than all it does, so each interpreter that runs it keeps it compiled, as
`<digest>-<cache tag>-<hash of the twin>.twin`. This makes it, and it clears away what is old; from then on
`quick.py` finds and checks it, and `kept.py`, which is its first part, runs it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import stat
import sys
import zipfile
from contextlib import suppress
from typing import Any

PROGRAM = ".pyz"
TWIN = ".twin"
_DIGEST = 64  # hexadecimal digits of the hashes in names
_PROGRAMS = 3
_INTERPRETERS = 4
_HOUR_S = 3600.0
_OWN = __name__.partition(".")[0] + "/"  # this package: of no use in the twin, but for its first part
_FIRST = _OWN + "kept.py"
# Docstrings are not kept: nobody reads them there, and they make a quarter of it.
_OPTIMIZE = 2


def refresh(folder: str, opened: str, program: str, digest: str, tidying: bool) -> tuple[Any, int]:
    """The twin and its open file; made when there is none, or none that is whole.

    `folder` is the way to the checked folder, `opened` that to the checked program; `program` is the program's
    name in tracebacks. What is old goes when a twin was made, and when `tidying` asks for it.

    Raises:
        OSError: the folder cannot be written; no part of a twin is left behind.
    """
    prefix = "%s-%s-" % (digest, sys.implementation.cache_tag)
    found = [name for name in os.listdir(folder) if name.startswith(prefix)]
    whole = next((each for each in (_open(folder, name, prefix) for name in found) if each is not None), None)
    if whole is None:
        for name in found:  # first: the new one may have the name of a broken one
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))
        whole = _open(folder, make(folder, opened, program, prefix), prefix)
        tidying = True
    if tidying:
        with suppress(OSError):  # another call may be at it too
            tidy(folder, prefix)
    if whole is None:
        raise FileNotFoundError(prefix)
    return whole


def _open(folder: str, name: str, prefix: str) -> tuple[Any, int] | None:
    """As `quick.py`: None for one that is not ours, or not whole."""
    try:
        descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        status = os.fstat(descriptor)
        good = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
        data = os.read(descriptor, status.st_size) if good else b""
        if data[:4] == importlib.util.MAGIC_NUMBER and hashed(data) == name[len(prefix) : -len(TWIN)]:
            return marshal.loads(data[4:]), descriptor
    except (OSError, ValueError, EOFError, TypeError):
        pass
    return None


def hashed(data: bytes) -> str:
    """What the twin's name tells of its content: BLAKE2b, which every Python computes without loading a library."""
    return hashlib.blake2b(data, digest_size=_DIGEST // 2).hexdigest()


def make(folder: str, opened: str, program: str, prefix: str) -> str:
    """Store the compiled twin for the interpreter that runs; its name. For the parameters and errors see `refresh`."""
    new = os.path.join(folder, "new-" + os.urandom(8).hex())
    # Opened first: where nothing can be written, nothing is compiled in vain.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            data = compiled(opened, program)
            file.write(data)
        name = prefix + hashed(data) + TWIN
        os.rename(new, os.path.join(folder, name))
    except BaseException:
        os.unlink(new)
        raise
    return name


def compiled(opened: str, program: str) -> bytes:
    """The zipapp at `opened`, compiled: `kept.Twin` as marshal writes it, behind the mark of Python's bytecode."""
    modules: dict[str, tuple[bool, str, bytes]] = {}
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(opened) as sources:
        first = _compile(sources.read(_FIRST), program + "/" + _FIRST)
        for name in sources.namelist():
            if not name.endswith(".py"):
                files[name] = sources.read(name)
            elif not name.startswith(_OWN):
                words = name[: -len(".py")].split("/")
                package = words[-1] == "__init__"
                code = marshal.dumps(_compile(sources.read(name), program + "/" + name))
                modules[".".join(words[:-1] if package else words)] = (package, name + "c", code)
    twin = (first, os.stat(opened).st_size, modules, files)
    return importlib.util.MAGIC_NUMBER + marshal.dumps(twin)


def _compile(source: bytes, name: str) -> Any:
    return compile(source, name, "exec", dont_inherit=True, optimize=_OPTIMIZE)


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
