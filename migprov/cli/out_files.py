"""Files that a command is told to write: refused before the work, written whole after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import BadRequest, MigprovError


def check(paths: Iterable[str | os.PathLike[str]], *, force: bool) -> None:
    """Refuse files that are there already, unless `force`, and ones that cannot be made; before anything is done.

    Raises:
        BadRequest: a file must not be written.
    """
    given = [os.path.abspath(path) for path in paths]
    for number, path in enumerate(given):
        if path in given[:number]:
            raise BadRequest(f"{path} is named twice as a file to write")
        if os.path.isdir(path):
            raise BadRequest(f"{path} is a folder")
        if _is_stream(path):
            continue
        if os.path.lexists(path) and not force:
            raise BadRequest(f"{path} is there already", next="name another file, or overwrite it with --force")
        if not os.access(os.path.dirname(path), os.W_OK | os.X_OK):
            raise BadRequest(f"{path} cannot be written: there is no such folder, or it is not yours to write in")


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write a whole file or none of it; into a pipe or a device, which is never replaced by a file.

    Raises:
        MigprovError: it cannot be written. What it holds was asked of nodes by now, so the request was a good one.
    """
    target = Path(os.path.realpath(path))
    try:
        if _is_stream(path):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
                file.flush()
                mask = os.umask(0o077)
                os.umask(mask)
                temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise MigprovError(f"{target} cannot be written: {error.strerror or error}") from None


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Such as `/dev/null`, `/dev/stdout`, or a shell's `>(...)`."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
