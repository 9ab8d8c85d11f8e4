"""Where rendered files go: standard output, a file, a folder; or only how they differ from what is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from . import out_files, output

if TYPE_CHECKING:
    from ..render.text import File

_Command = TypeVar("_Command", bound=Callable[..., object])
_MODE = 0o644


def output_options(command: _Command) -> _Command:
    """Give a command `-o`, `--force` and `--diff`."""
    for option in (
        click.option("--diff", metavar="PATH", help="Print how PATH differs from what is rendered; write nothing."),
        click.option("--force", is_flag=True, help="Overwrite what is there."),
        click.option("-o", "--out", metavar="PATH", help="Write the file, or several files into the folder PATH."),
    ):
        command = option(command)
    return command


def give(files: Sequence[File], *, out: str | None, force: bool, diff: str | None) -> None:
    """Print, write or compare the files. Several of them lie in a folder under the last part of their names.

    Raises:
        BadRequest: a file must not be written, or cannot be read. Nothing was written.
    """
    from ..render import text

    if out is not None and diff is not None:
        raise click.UsageError("--diff writes nothing: it goes without -o.")
    if force and out is None:
        raise click.UsageError("--force goes with -o.")
    if diff is not None:
        output.write("".join(text.difference(_present(path), file, path) for path, file in _paths(files, diff)))
    elif out is not None:
        _write(_paths(files, out), out, several=len(files) > 1, force=force)
    else:
        output.write(text.stream(files))


def _paths(files: Sequence[File], where: str) -> list[tuple[str, File]]:
    if len(files) == 1 and not os.path.isdir(where):
        return [(where, files[0])]
    return [(os.path.join(where, os.path.basename(each.name)), each) for each in files]


def _present(path: str) -> str | None:
    from ..errors import BadRequest

    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise BadRequest(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _write(paths: Sequence[tuple[str, File]], out: str, *, several: bool, force: bool) -> None:
    from ..errors import BadRequest

    if several and not os.path.isdir(out):
        out_files.check([out], force=False)
        try:
            os.mkdir(out, 0o755)
        except OSError as error:
            raise BadRequest(f"{out} cannot be made: {error.strerror or error}") from None
    out_files.check([path for path, _ in paths], force=force)
    for path, file in paths:
        fresh = not os.path.lexists(path)
        out_files.write(path, file.text)
        if fresh:
            os.chmod(path, _MODE)
    click.echo(f"Written: {', '.join(path for path, _ in paths)}.", err=True)
