"""What was done: the record of a roll, for a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..connect.shape import printable
from ..fleet.roll import folder
from ..fleet.roll.record import Story, read
from ..fleet.roll.standing import Standing, standing
from .model import NodeTurn, Roll


def roll(id: str) -> Roll:
    """The roll of that id, which may be shortened from the left.

    Raises:
        BadRequest: there is none, or several.
    """
    return told(read(folder.chosen(folder.rolls_folder(), id)))


def told(story: Story) -> Roll:
    """What a report tells of a roll."""
    stands = standing(story)
    return Roll(
        stands.id,
        printable(stands.kind),
        printable(stands.layout),
        printable(stands.who),
        printable(stands.begun),
        stands.state,
        _said(stands.result),
        "; ".join(_reasons(stands)) or None,
        _said(story.last.get("at")) if stands.state in ("paused", "stopped", "ended") else None,
        story.batches_done,
        tuple(_turn(host, story) for host in story.hosts),
    )


def _reasons(stands: Standing) -> Iterator[str]:
    if reason := _said(stands.reason):
        yield reason
    if stands.damaged:
        lines = f"{stands.damaged} {'line' if stands.damaged == 1 else 'lines'}"
        yield f"{lines} of its record cannot be read, so what is told may not be all"


def _turn(host: str, story: Story) -> NodeTurn:
    line = story.nodes.get(host)
    name = printable(str(host))
    if host in story.in_hand:
        return NodeTurn(name, None, None, "its turn has begun and has no end in the record")
    if line is not None:
        changes = tuple(_changes(line.get("before"), line.get("after")))
        result = printable(str(line["result"]))
        return NodeTurn(name, _said(line.get("at")), result, _said(line.get("message")), changes)
    looked = story.looked.get(host) or {}
    error = looked.get("error")
    if error:
        return NodeTurn(name, None, None, _said(error.get("message") if isinstance(error, Mapping) else error))
    return NodeTurn(name, None, None if looked.get("changes", True) else "unchanged", None)


def _said(value: object) -> str | None:
    return printable(str(value)) if value else None


def _changes(before: object, after: object) -> Iterator[str]:
    """Such as `GPU 1: whole -> 3g.40gb at 0, 3g.40gb at 4`."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return
    for gpu, now in after.items():
        if gpu in before and before[gpu] != now:
            yield printable(f"GPU {gpu}: {_cut(before[gpu])} -> {_cut(now)}")


def _cut(instances: object) -> str:
    if not isinstance(instances, list):
        return "MIG off"
    return ", ".join(map(str, instances)) or "no instance"
