"""What a roll that goes on is about: its record, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...errors import BadRequest
from . import extra as extras
from .claim import copy_name
from .record import Story
from .request import Prepared, Request, prepare


def prepared(story: Story, extra: tuple[str, ...], pause_after: int | None, like: Request | None) -> Prepared:
    """The request of that roll, checked again.

    Raises:
        BadRequest: it cannot be carried out any more, what is given does not match it, or extra variables are missing.
    """
    recorded = Request.recorded(story.begun)
    if like is not None:
        _same(story, recorded, like.absolute())
    request = replace(recorded, extra=_extra(story, recorded, extra), pause_after=pause_after)
    copy = story.folder / copy_name(recorded.file) if recorded.file else None
    found = prepare(request, copy=copy)
    # The roll stays about the nodes that it was begun with, also when the inventory has grown since.
    gone = [host for host in story.hosts if host not in found.groups]
    if gone:
        raise BadRequest(
            f"The roll {story.id} is about {', '.join(gone)}, which the inventory does not have any more.",
            next="start a new roll, or put them back",
        )
    return replace(found, hosts=story.hosts, groups={host: found.groups[host] for host in story.hosts})


def differs_now(story: Story) -> str | None:
    """A word about the original of the layout file, when it is not as it was; the roll goes on with its copy."""
    file = story.begun.get("file")
    if not file:
        return None
    try:
        now = Path(file).read_bytes()
    except OSError:
        return f"{file} cannot be read now; the roll goes on with the copy that it was begun with."
    if now != (story.folder / copy_name(file)).read_bytes():
        return (
            f"{file} is not as it was when the roll began; the roll goes on with the copy that it was begun with "
            f"({story.folder / copy_name(file)})."
        )
    return None


def _same(story: Story, recorded: Request, given: Request) -> None:
    for what in ("file", "name", "inventory", "limit"):
        wanted, own = getattr(given, what), getattr(recorded, what)
        if wanted and wanted != own:
            raise BadRequest(
                f"The roll {story.id} has {what} {_words(own)}, and not {_words(wanted)}.",
                next="leave it out, give the same, or start a new roll",
            )


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _extra(story: Story, recorded: Request, given: tuple[str, ...]) -> tuple[str, ...]:
    """The extra variables as they must be given again: a record has no values."""
    names = [str(name) for name in story.begun["options"].get("extra") or ()]
    files = tuple(name for name in names if name.startswith("@"))
    now = extras.parse(given, recorded.cwd)
    known = {name for each in now if isinstance(each, Mapping) for name in each}
    missing = [name for name in names if not name.startswith("@") and name not in known]
    if missing:
        raise BadRequest(
            f"The roll {story.id} was begun with -e {', '.join(missing)}, whose values are kept nowhere.",
            next="give them again with -e",
        )
    return (*files, *given)
