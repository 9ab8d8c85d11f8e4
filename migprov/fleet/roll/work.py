"""The two kinds of rolls: to a layout, and back. What they look at, run, and put first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from . import playbook
from .look import LAYOUT, Look, looks
from .record import Story
from .request import ROLLOUT, Prepared

Began = Callable[[int, int], object]
_HISTORY: list[dict[str, Any]] = [
    {
        "name": "Read what was changed",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"name": "Read what was changed on the node", "migprov.gpu.mig_history_info": {}}],
    }
]


def _nobody(_pid: int, _ticks: int) -> None:
    """A run that only looks need not be waited for."""


class Rollout:
    """To a layout, in the inventory's order."""

    playbook = "migprov.gpu.rollout"
    action = LAYOUT

    def __init__(self, prepared: Prepared, id: str | None, copy: Path | None, story: Story | None = None) -> None:
        self.prepared = prepared
        self._id = id
        self._story = story
        self._copy = copy

    def look(self, hosts: Sequence[str], private: Path) -> tuple[dict[str, Look], str]:
        """Look at these nodes; changes nothing."""
        return looks(hosts, self._run(hosts, private, _nobody, tags="preflight"), self.action)

    def ordered(self, looked: Mapping[str, Look]) -> list[str]:
        """The nodes in the order in which they change, among equals."""
        return list(looked)

    def change(self, hosts: Sequence[str], private: Path, began: Began) -> Iterator[dict[str, Any]]:
        """Take the turn of these nodes."""
        return self._run(hosts, private, began, skip_tags="preflight")

    def health(self, hosts: Sequence[str], private: Path, began: Began) -> Iterator[dict[str, Any]]:
        """Ask for the health of these nodes once more."""
        return self._run(hosts, private, began, tags="health")

    def _run(
        self,
        hosts: Sequence[str],
        private: Path,
        began: Began,
        *,
        tags: str | None = None,
        skip_tags: str | None = None,
        playbook_: list[dict[str, Any]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        request = self.prepared.request
        job = playbook.Job(
            playbook_ or self.playbook,
            request.inventory,
            request.cwd,
            hosts=tuple(hosts),
            extra=(*self.prepared.extra, self.variables()),
            forks=request.forks,
            tags=tags,
            skip_tags=skip_tags,
        )
        return playbook.run(job, private, began)

    def variables(self) -> Mapping[str, Any]:
        """What the playbook is told on top of what the user gives it."""
        request = self.prepared.request
        told: dict[str, Any] = {
            "mig_layout_steps": "100%",
            "mig_layout_soak": 0,
            "mig_layout_change": f"{self.prepared.layout} {self._change}",
        }
        if request.kind == ROLLOUT and request.file and request.name:
            file = str(self._copy or request.file)
            # The entries that the inventory may have for a node do not count then.
            told |= {"mig_layout_file": file, "mig_layout_name": request.name, "mig_layout_config": []}
        if request.drain is not None:
            told["mig_layout_drain"] = request.drain
        if request.timeout is not None:
            told["mig_layout_drain_timeout"] = request.timeout
        if request.node_timeout is not None:
            told["mig_layout_node_timeout"] = math.ceil(request.node_timeout)  # Ansible counts whole seconds
        if request.stop_on_error:
            told["mig_layout_stop_on_error"] = True
        return told

    @property
    def _change(self) -> str:
        return f"roll {self._id}" if self._id else "roll"


class Rollback(Rollout):
    """Back to what each node had before its last change; the node that was changed last goes first.

    A second rollback of a node goes forward again, so a roll that is taken up must know which nodes it had brought
    back: those of its record, and those whose last change is a rollback that was not there when it began.
    """

    playbook = "migprov.gpu.rollback"
    action = "migprov.gpu.mig_rollback"

    def look(self, hosts: Sequence[str], private: Path) -> tuple[dict[str, Look], str]:
        if self._story is None:
            return super().look(hosts, private)
        known, said = looks(hosts, self._run(hosts, private, _nobody, playbook_=_HISTORY), "")
        settled = {host: look for host, look in known.items() if look.unreachable or self._is_back(look)}
        rest = [host for host in hosts if host not in settled]
        found, more = super().look(rest, private) if rest else ({}, "")
        for look in found.values():
            look.message = look.message or self._changed_since(look)
        return {host: settled.get(host) or found[host] for host in hosts}, f"{said}\n{more}".strip()

    def ordered(self, looked: Mapping[str, Look]) -> list[str]:
        return sorted(looked, key=lambda host: _when(looked[host]), reverse=True)

    def variables(self) -> Mapping[str, Any]:
        # The playbook leaves alone what was rolled back before, whoever did it; this roll knows what it did itself.
        return {**super().variables(), "mig_layout_is_back": False}

    def _is_back(self, look: Look) -> bool:
        """Whether this roll has brought the node back; then its look is made to say so."""
        story, last = self._story, look.last_change
        if story is None or last is None:
            return False
        done = (story.nodes.get(look.host) or {}).get("result") in ("done", "unchanged")
        since = not _same(last, story.last_changes.get(look.host))
        if done or (since and last["task"] == "rollback" and last["result"] == "done"):
            look.message, look.reply = None, {"task": "rollback", "planned": [], "steps": []}
            return True
        return False

    def _changed_since(self, look: Look) -> str | None:
        story, last = self._story, look.last_change
        if story is None or last is None or last["task"] == "rollback":
            return None
        if _same(last, story.last_changes.get(look.host, last)):
            return None
        return (
            f"it was changed since the rollback began ({last['task']}, {last['when']}, by {last['who']}); going back "
            "now would undo that. Leave the node out in a new rollback, or give this one up: migprov status --give-up "
            f"{story.id}"
        )


def _same(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Whether that is one change; how it ended may have become known meanwhile."""
    return other is not None and all(one.get(name) == other.get(name) for name in ("when", "who", "task"))


def _when(look: Look) -> float:
    """When the node was changed last, in seconds since the epoch; 0.0 when it is not known."""
    try:
        return datetime.fromisoformat(str((look.last_change or {}).get("when"))).timestamp()
    except ValueError:
        return 0.0


def of(prepared: Prepared, id: str | None, copy: Path | None, story: Story | None = None) -> Rollout:
    """The work of a request."""
    kind = Rollout if prepared.request.kind == ROLLOUT else Rollback
    return kind(prepared, id, copy, story)
