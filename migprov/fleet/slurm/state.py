"""What Slurm says of a node and its jobs, as data. Pure: text in, dataclasses out.

Understood are `scontrol show node` as text (every version) and as JSON (23.02 and newer, also the form of 22.05's
`sinfo --json`), and `squeue` in the format that `JOBS_FORMAT` asks for.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

JOBS_FORMAT = "%i|%A|%u|%T|%S|%j"
"""For squeue: id as people write it, number, user, state, start, name. The name is last: it may hold anything."""
ON_NODE = ("RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
"""States of jobs that have a node, in squeue's words."""

_BUSY = frozenset({"ALLOCATED", "MIXED"})
# What older versions append to a state instead of a word, as sinfo does: "IDLE*+DRAIN".
_SIGNS = {
    "*": "NOT_RESPONDING",
    "~": "POWERED_DOWN",
    "#": "POWERING_UP",
    "%": "POWERING_DOWN",
    "!": "POWER_DOWN",
    "$": "MAINTENANCE",
    "@": "REBOOT_REQUESTED",
    "^": "REBOOT_ISSUED",
}
_GOING = frozenset({"REBOOT_REQUESTED", "REBOOT_ISSUED", "POWER_DOWN", "POWERING_DOWN"})
_SHORT = {"MAINT": "MAINTENANCE", "RESV": "RESERVED", "NO_RESPOND": "NOT_RESPONDING", "ALLOC": "ALLOCATED"}
_REASON = re.compile(r"(?P<text>.*) \[(?P<by>[^\]@]*)@(?P<at>[^\]]*)\]")
_NOTHING = frozenset({"", "(null)", "N/A", "none"})


@dataclass(frozen=True)
class Job:
    """A job that has the node. `since` is when it started, in the words of the cluster."""

    id: str
    number: str
    user: str
    state: str
    since: str
    name: str

    @property
    def label(self) -> str:
        """How messages name the job."""
        return f"job {self.id} ({self.name}, user {self.user}, {self.state.lower()} since {self.since})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Node:
    """A node as Slurm sees it. `state` is the base state (IDLE, MIXED, ALLOCATED, DOWN...), `flags` what comes on top.

    `reason_at` is in the words of the cluster, or UTC (ISO 8601) where Slurm gives seconds.
    """

    name: str
    state: str
    flags: frozenset[str]
    reason: str = ""
    reason_by: str = ""
    reason_at: str = ""
    gres: str = ""

    @property
    def drained(self) -> bool:
        """Whether somebody keeps new jobs away from it; jobs may still run."""
        return bool(self.flags & {"DRAIN", "FAIL"})

    @property
    def down(self) -> bool:
        return self.state in ("DOWN", "ERROR")

    @property
    def going(self) -> bool:
        """Whether Slurm itself reboots it or powers it down, now or as soon as no job is on it, drained or not."""
        return bool(self.flags & _GOING)

    @property
    def busy(self) -> bool:
        """Whether jobs, or what is left of them, have it."""
        return self.state in _BUSY or "COMPLETING" in self.flags

    @property
    def responding(self) -> bool:
        return "NOT_RESPONDING" not in self.flags

    @property
    def in_service(self) -> bool:
        """Whether jobs can start on it."""
        return not self.drained and not self.down and self.responding and "INVALID_REG" not in self.flags

    @property
    def text(self) -> str:
        """State and flags as Slurm writes them, such as IDLE+DRAIN."""
        return "+".join([self.state, *sorted(self.flags)])

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "flags": sorted(self.flags)}


@dataclass(frozen=True)
class Reading:
    """A node and the jobs on it, read one after the other."""

    node: Node
    jobs: tuple[Job, ...] = ()


def version(text: str) -> tuple[int, int] | None:
    """The version in the answer of `scontrol --version` (`slurm-wlm 22.05.8`), None when there is none."""
    found = re.search(r"\b(\d{2})\.(\d{2})\b", text)
    return (int(found[1]), int(found[2])) if found else None


def jobs(text: str) -> tuple[Job, ...]:
    """The lines of squeue in `JOBS_FORMAT`. A name with a line break keeps its first line."""
    found = []
    for line in text.splitlines():
        parts = line.split("|", 5)
        if len(parts) == 6 and parts[1].isdigit():
            found.append(Job(*parts))
    return tuple(found)


def nodes_from_text(text: str) -> list[Node]:
    """The nodes of `scontrol show node` as text."""
    blocks = re.split(r"(?m)^(?=NodeName=)", text)
    return [_from_block(block) for block in blocks if block.startswith("NodeName=")]


def _from_block(block: str) -> Node:
    lines = [line.strip() for line in block.splitlines()]
    # By the beginning of a line: free text, as in a reason or comment, may hold anything else.
    fields = {line.partition("=")[0]: line.partition("=")[2] for line in lines if "=" in line}
    state, flags = _states(fields.get("State", "UNKNOWN").split()[0].split("+"))
    told = _REASON.fullmatch(fields.get("Reason", ""))
    reason = told["text"] if told else fields.get("Reason", "")
    return Node(
        name=fields["NodeName"].split()[0],
        state=state,
        flags=flags,
        reason="" if reason in _NOTHING else reason,
        reason_by=told["by"] if told else "",
        reason_at=told["at"] if told else "",
        gres=_given(fields.get("Gres", "")),
    )


def nodes_from_json(text: str) -> list[Node]:
    """The nodes of `scontrol show node --json` or of 22.05's `sinfo --json`. Raises ValueError for anything else."""
    document = json.loads(text)
    found = document.get("nodes") if isinstance(document, dict) else None
    if isinstance(found, dict):  # some versions put the list one level deeper
        found = found.get("nodes")
    if not isinstance(found, list):
        raise ValueError("no list of nodes")
    return [_from_object(node) for node in found if isinstance(node, dict)]


def _from_object(node: dict[str, Any]) -> Node:
    given = node.get("state") or "UNKNOWN"
    words = [*([given] if isinstance(given, str) else given), *(node.get("state_flags") or [])]
    state, flags = _states([str(word) for word in words])
    return Node(
        name=str(node.get("name", "")),
        state=state,
        flags=flags,
        reason=_given(str(node.get("reason") or "")),
        reason_by=str(node.get("reason_set_by_user") or ""),
        reason_at=_time(node.get("reason_changed_at")),
        gres=_given(str(node.get("gres") or "")),
    )


def _time(given: Any) -> str:
    seconds = given.get("number") if isinstance(given, dict) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _given(text: str) -> str:
    return "" if text in _NOTHING else text


def _states(words: list[str]) -> tuple[str, frozenset[str]]:
    """Base state and flags, out of words in any case, each maybe with signs at its end."""
    state, flags = "", set()
    for word in words:
        bare = word.upper().rstrip("*~#%$@^!-")
        flags |= {_SIGNS[sign] for sign in word[len(bare) :] if sign in _SIGNS}
        bare = _SHORT.get(bare, bare)
        if bare in ("DRAINED", "DRAINING"):  # what sinfo makes of IDLE+DRAIN and MIXED+DRAIN
            flags.add("DRAIN")
            bare = "IDLE" if bare == "DRAINED" else "MIXED"
        if not state:
            state = bare
        elif bare:
            flags.add(bare)
    return state or "UNKNOWN", frozenset(flags)
