"""How the rolls of this control node stand, and what to do next: from their records alone, without asking a node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .record import Story, stories


@dataclass(frozen=True)
class Standing:
    """One roll. `state`: `running`, `paused`, `stopped`, `killed` or `ended`; `result`: how it came to that, or None.

    `in_hand`: nodes of a batch without a result yet. `playbook`: the process in which ansible-playbook is at work,
    or None. `maybe_drained`: nodes that a scheduler may still keep away because of this roll. `next`: the command to go
    on with, None when there is nothing to do. `damaged`: lines of its record that cannot be read.
    """

    id: str
    kind: str
    layout: str
    begun: str
    who: str
    state: str
    result: str | None
    reason: str | None
    done: tuple[str, ...]
    failed: tuple[str, ...]
    left: tuple[str, ...]
    in_hand: tuple[str, ...]
    playbook: int | None
    maybe_drained: tuple[str, ...]
    next: str | None
    damaged: int

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return dict(self.__dict__)


def standings(folder: Path | None = None) -> list[Standing]:
    """All rolls of this user, oldest first."""
    return [standing(story) for story in stories(folder)]


def standing(story: Story) -> Standing:
    """How one roll stands."""
    state = story.state
    begun = story.begun
    kind = str(begun.get("options", {}).get("kind") or "rollout")
    over = state in ("paused", "stopped", "ended")
    return Standing(
        id=story.id,
        kind=kind,
        layout=str(begun.get("name") or ("rollback" if kind == "rollback" else "layouts of the inventory")),
        begun=str(begun.get("at")),
        who=str(begun.get("who")),
        state=state,
        result=story.last.get("result") if over else None,
        reason=story.last.get("reason") if over else None,
        done=tuple(story.done),
        failed=tuple(story.failed),
        left=tuple(story.left),
        in_hand=story.in_hand,
        playbook=story.playbook[0] if story.playbook and story.playbook_runs else None,
        maybe_drained=() if state in ("running", "ended") else _maybe_drained(story),
        next=_next(story, state, kind),
        damaged=story.damaged,
    )


def _maybe_drained(story: Story) -> tuple[str, ...]:
    """Nodes whose turn has no good end, and those that were found drained by migprov and not given back since."""
    good = set(story.done)
    found = [name for name, one in story.looked.items() if one.get("drained")]
    return tuple(dict.fromkeys(name for name in (*story.in_hand, *story.failed, *found) if name not in good))


def _next(story: Story, state: str, kind: str) -> str | None:
    if state in ("running", "ended"):
        return None
    extra = [name for name in story.begun.get("options", {}).get("extra") or () if not str(name).startswith("@")]
    again = "".join(f" -e {name}=..." for name in extra)
    return f"migprov {kind} --resume {story.id}{again}"
