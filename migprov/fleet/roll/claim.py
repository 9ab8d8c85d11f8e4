"""A roll makes itself known, or is taken up again, and two of them never work on the same nodes."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from ...connect.who import who
from ...errors import BadRequest, MigprovError
from . import folder as places
from .record import Record, Story, read, stories
from .request import ROLLBACK, Prepared


class Overlap(MigprovError):
    """Another roll works on some of these nodes."""


def begin(prepared: Prepared, way: str, base: Path | None = None) -> Record:
    """Make the record of a new roll, which is held until it is closed.

    Raises:
        Overlap: another roll of this user works on some of the nodes.
        CannotRecord: the record cannot be kept.
    """
    folder = base or places.rolls_folder()
    with places.starting(folder):
        _alone(prepared.hosts, folder, None)
        if prepared.request.kind == ROLLBACK:
            _no_other_rollback(prepared.hosts, folder)
        roll = folder / places.new_id(datetime.now(UTC))
        places.make_private(roll)
        held = places.take(roll)
        if held is None:
            raise places.CannotRecord(f"{roll} is held by another process.")
        record = Record(roll, held)
        request = prepared.request
        copy = None
        if prepared.content is not None and request.file is not None:
            copy = record.keep(copy_name(request.file), prepared.content).name
        record.write(
            "begun",
            id=record.id,
            who=who(way),
            **{"from": {"host": socket.gethostname(), "way": way, "pid": os.getpid()}},
            file=request.file,
            copy=copy,
            name=request.name,
            inventory=list(request.inventory),
            limit=request.limit,
            hosts=list(prepared.hosts),
            options=request.options(),
        )
        return record


def copy_name(file: str) -> str:
    """What the copy of a layout file is called in the roll's folder."""
    name = os.path.basename(file)
    return f"copy-{name}" if name in (places.LOCK, "journal.jsonl", "runner") or name.startswith(".") else name


def take_up(story: Story, way: str) -> Record:
    """Hold a roll that is not ended, to go on with it.

    Raises:
        Overlap: it is running, or another roll works on some of its nodes.
    """
    with places.starting(story.folder.parent):
        held = places.take(story.folder)
        if held is None:
            raise _overlap(story, set(story.hosts))
        try:
            _alone(story.hosts, story.folder.parent, story.id)
        except Overlap:
            os.close(held)
            raise
        record = Record(story.folder, held)
    record.write("resumed", who=who(way), **{"from": {"host": socket.gethostname(), "way": way, "pid": os.getpid()}})
    return record


def unfinished(folder: Path, id: str | None, kind: str) -> Story:
    """The roll to go on with: that of `id`, or the newest that is not ended.

    Raises:
        BadRequest: there is none, or it is ended.
    """
    if id:
        story = read(places.chosen(folder, id))
        if not story.begun:
            raise BadRequest(f"The roll {story.id} never began; there is nothing to go on with.")
        if story.state == "ended":
            raise BadRequest(f"The roll {story.id} is ended ({story.last.get('result')}).", next="start a new one")
        if story.begun["options"].get("kind") != kind:
            raise BadRequest(f"The roll {story.id} is a {story.begun['options'].get('kind')}.")
        return story
    open_ones = [s for s in stories(folder) if s.state != "ended" and s.begun["options"].get("kind") == kind]
    if not open_ones:
        raise BadRequest("There is no roll to go on with.", next="migprov status lists them")
    return open_ones[-1]


def _alone(hosts: Collection[str], folder: Path, but: str | None) -> None:
    for story in stories(folder):
        if story.id == but or not (story.state == "running" or story.playbook_runs):
            continue
        both = set(hosts) & set(story.hosts)
        if both:
            raise _overlap(story, both)


def _no_other_rollback(hosts: Collection[str], folder: Path) -> None:
    """A node that an unfinished rollback has brought back would go forward again."""
    for story in stories(folder):
        if story.begun["options"].get("kind") != ROLLBACK or story.state == "ended":
            continue
        begun = [host for host in story.hosts if host in story.nodes or host in story.in_hand]
        if set(begun) & set(hosts):
            raise Overlap(
                f"The rollback {story.id} has brought {', '.join(begun)} back and is not ended; a second one would "
                "take them forward again. Nothing was contacted.",
                next=f"migprov rollback --resume {story.id}, or migprov status --give-up {story.id}",
            )


def give_up(folder: Path, id: str) -> None:
    """End a roll that is never to be gone on with. No node is contacted.

    Raises:
        BadRequest: there is no such roll, it is ended, or it is at work.
    """
    story = read(places.chosen(folder, id))
    with places.starting(folder):
        if story.state == "ended":
            raise BadRequest(f"The roll {story.id} is ended already ({story.last.get('result')}).")
        held = None if story.playbook_runs else places.take(story.folder)
        if held is None:
            raise BadRequest(f"The roll {story.id} is at work.", next="wait for its end, or stop it with Ctrl-C")
        record = Record(story.folder, held)
    record.write("ended", reason="Given up; its nodes are as it left them.", result="given_up")
    record.close()


def _overlap(story: Story, both: Collection[str]) -> Overlap:
    nodes = ", ".join(sorted(both)[:3]) + (f" and {len(both) - 3} more" if len(both) > 3 else "")
    by = f"begun {story.begun.get('at')} by {story.begun.get('who')}"
    if story.state == "running":
        return Overlap(
            f"The roll {story.id} ({by}) is at work on {nodes}; nothing was contacted.",
            next="wait for its end (migprov status), or leave these nodes out with --limit",
        )
    pid = story.playbook[0] if story.playbook else "unknown"
    return Overlap(
        f"The roll {story.id} ({by}) was killed, and its ansible-playbook (process {pid}) is still at work on "
        f"{nodes}; nothing was contacted.",
        next=f"migprov {story.begun['options'].get('kind')} --resume {story.id}, which waits for it",
    )
