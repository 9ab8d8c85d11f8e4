"""The roll: who is next, one batch after another, and the record of it.

for event in rollout(Request(inventory=("inventory",), file="layouts.yml", name="voice")):
    ...
"""

from __future__ import annotations

from pathlib import Path

from .request import ROLLOUT, Request
from .rollout import Roll

__all__ = ["Request", "Roll", "resume", "rollout"]


def rollout(request: Request, *, way: str = "python", folder: Path | None = None) -> Roll:
    """A new roll. Iterate it to carry it out: it yields what happens (`events.py`) and prints nothing.

    `folder`: where rolls are recorded, when not in the user's state folder.

    Raises:
        BadRequest: the request cannot be carried out. Nothing was contacted or recorded.
    """
    from .request import prepare

    return Roll(prepare(request), way=way, base=folder)


def resume(
    id: str | None = None,
    *,
    kind: str = ROLLOUT,
    extra: tuple[str, ...] = (),
    pause_after: int | None = None,
    like: Request | None = None,
    way: str = "python",
    folder: Path | None = None,
) -> Roll:
    """The newest roll of this user that is not ended, or that of `id`, to go on with.

    `extra`: the extra variables of the roll, whose values are in no record. `like`: a request that must be the same.

    Raises:
        BadRequest: there is none, it is ended, or what is given does not match. Nothing was contacted.
    """
    from . import claim, taking_up
    from .folder import rolls_folder

    story = claim.unfinished(folder or rolls_folder(), id, kind)
    return Roll(taking_up.prepared(story, extra, pause_after, like), story=story, way=way)
