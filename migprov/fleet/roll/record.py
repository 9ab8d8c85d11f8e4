"""The control side's journal of a roll: what was asked, what was found, what was done, synced line by line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import folder as places

JOURNAL = "journal.jsonl"
_LAST = ("paused", "stopped", "ended")


@dataclass
class Story:
    """What the journal of a roll says, read from the beginning."""

    id: str
    folder: Path
    begun: dict[str, Any] = field(default_factory=dict)
    looked: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_changes: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    """For a rollback: the last change of each node when the roll began."""
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The last `node` line of each node."""
    in_hand: tuple[str, ...] = ()
    """Nodes of a batch that have no result yet."""
    batches_done: int = 0
    playbook: tuple[int, int] | None = None
    """Process and its start (clock ticks) of the last ansible-playbook that was begun."""
    last: dict[str, Any] = field(default_factory=dict)
    damaged: int = 0
    """Lines that cannot be read; what they said is not known."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """All nodes that the roll is about."""
        return tuple(self.begun.get("hosts") or ())

    @property
    def state(self) -> str:
        """`running`, `paused`, `stopped`, `ended` or `killed`."""
        if places.is_held(self.folder):
            return "running"
        event = str(self.last.get("event", ""))
        return event if event in _LAST else "killed"

    @property
    def playbook_runs(self) -> bool:
        """Whether the last ansible-playbook of this roll is still at work, with its controller or without."""
        return self.playbook is not None and places.start_ticks(self.playbook[0]) == self.playbook[1]

    @property
    def done(self) -> list[str]:
        """Nodes that are as wanted: changed by this roll, or so from the start."""
        unchanged = {name for name, one in self.looked.items() if not one.get("changes") and not one.get("error")}
        good = {name for name, one in self.nodes.items() if one["result"] in ("done", "unchanged")}
        bad = {name for name, one in self.nodes.items() if one["result"] not in ("done", "unchanged")}
        return [name for name in self.hosts if name in (unchanged | good) - bad - set(self.in_hand)]

    @property
    def failed(self) -> list[str]:
        """Nodes whose turn did not end well."""
        return [name for name, one in self.nodes.items() if one["result"] in ("failed", "unreachable")]

    @property
    def left(self) -> list[str]:
        """Nodes that are neither done nor in hand."""
        settled = {*self.done, *self.in_hand}
        return [name for name in self.hosts if name not in settled]

    def take(self, line: Mapping[str, Any]) -> None:
        """Read one more line."""
        event = line.get("event")
        self.last = dict(line)
        if event == "begun":
            self.begun = dict(line)
        elif event == "looked":
            nodes = line["nodes"]
            self.looked.update(nodes)
            for host, one in nodes.items():
                if not one.get("error"):
                    self.last_changes.setdefault(host, one.get("last_change"))
        elif event == "batch":
            self.in_hand = tuple(line["hosts"])
        elif event == "playbook":
            self.playbook = (line["pid"], line["start_ticks"])
        elif event == "node":
            self.nodes[line["host"]] = dict(line)
            self.in_hand = tuple(name for name in self.in_hand if name != line["host"])
        elif event == "batch_done":
            self.batches_done += 1


def read(roll: Path) -> Story:
    """The story of the roll in that folder. Lines that a power cut or a bad disk has damaged are passed over."""
    story = Story(roll.name, roll)
    with contextlib.suppress(OSError), open(roll / JOURNAL, encoding="utf-8", errors="replace") as journal:
        for text in journal:
            line = _line(text)
            if line is not None:
                story.take(line)
            elif text.endswith("\n"):  # otherwise it was never written to its end
                story.damaged += 1
    return story


def _line(text: str) -> dict[str, Any] | None:
    """A line of a journal, None where it is not as this program writes it."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if _fits(line) else None


def _fits(line: Any) -> bool:
    match line:
        case {"event": "begun", "hosts": list(hosts), "inventory": list(sources), "options": {"kind": str()}}:
            texts = (line.get(name) for name in ("file", "name", "limit"))
            return _names(hosts) and _names(sources) and all(isinstance(text, str | None) for text in texts)
        case {"event": "looked", "nodes": dict(nodes)}:
            return all(isinstance(one, dict) for one in nodes.values())
        case {"event": "batch", "hosts": list(hosts)}:
            return _names(hosts)
        case {"event": "playbook", "pid": int(), "start_ticks": int()} | {
            "event": "node",
            "host": str(),
            "result": str(),
        }:
            return True
        case {"event": str(event)}:
            return event not in ("begun", "looked", "batch", "playbook", "node")
    return False


def _names(found: list[Any]) -> bool:
    return all(isinstance(one, str) for one in found)


def stories(folder: Path | None = None) -> list[Story]:
    """All rolls of this user, oldest first; those that never got as far as their first line are left out."""
    base = folder or places.rolls_folder()
    found = [read(base / name) for name in places.ids(base)]
    return [story for story in found if story.begun]


class Record:
    """The journal of a roll that this process runs. It is held from here until `close` or death."""

    def __init__(self, roll: Path, descriptor: int) -> None:
        self.folder = roll
        self.id = roll.name
        self._held = descriptor
        self._journal = places.open_private(roll / JOURNAL, os.O_WRONLY | os.O_APPEND)
        _whole_lines(roll / JOURNAL, self._journal)

    @property
    def private(self) -> Path:
        """The folder for what ansible-runner needs while it runs."""
        return self.folder / "runner"

    def write(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append a line and wait until it is on the disk.

        Raises:
            CannotRecord: it cannot be written.
        """
        line = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **fields}
        places.write_whole(self.folder / JOURNAL, self._journal, (json.dumps(line) + "\n").encode())
        return line

    def keep(self, name: str, content: bytes) -> Path:
        """Keep a copy of a file in the roll's folder.

        Raises:
            CannotRecord: it cannot be written.
        """
        path = self.folder / name
        descriptor = places.open_private(path, os.O_WRONLY | os.O_TRUNC)
        try:
            places.write_whole(path, descriptor, content)
        finally:
            os.close(descriptor)
        return path

    def close(self) -> None:
        """Let go of the roll. What is left of a run of Ansible is removed, unless it still works."""
        if not read(self.folder).playbook_runs:
            shutil.rmtree(self.private, ignore_errors=True)
        os.close(self._journal)
        os.close(self._held)


def _whole_lines(path: Path, journal: int) -> None:
    """Close a line that a power cut left open, so that the next one stands alone."""
    with open(path, "rb") as before:
        content = before.read()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
