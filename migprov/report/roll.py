"""What was done: the record of a roll, for a report."""

from __future__ import annotations

from ..fleet.roll import folder
from ..fleet.roll.record import Story, read
from ..fleet.roll.standing import standing
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
    last = story.last
    return Roll(
        stands.id,
        stands.kind,
        stands.layout,
        stands.who,
        stands.begun,
        stands.state,
        stands.result,
        stands.reason,
        str(last.get("at")) if stands.state in ("paused", "stopped", "ended") else None,
        story.batches_done,
        tuple(_turn(host, story) for host in story.hosts),
    )


def _turn(host: str, story: Story) -> NodeTurn:
    line = story.nodes.get(host)
    if line is not None and host not in story.in_hand:
        message = line.get("message")
        return NodeTurn(host, line.get("at"), str(line["result"]), None if not message else str(message))
    if host in story.in_hand:
        return NodeTurn(host, None, None, "its turn has begun and has no end in the record")
    looked = story.looked.get(host)
    if looked is not None and looked.get("error"):
        return NodeTurn(
            host,
            None,
            None,
            str(looked["error"].get("message", looked["error"]))
            if isinstance(looked["error"], dict)
            else str(looked["error"]),
        )
    if looked is not None and not looked.get("changes"):
        return NodeTurn(host, None, "unchanged", None)
    return NodeTurn(host, None, None, None)
