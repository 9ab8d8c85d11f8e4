"""The two kinds of rolls: to a layout, and back. What they look at, run, and put first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import BadRequest
from . import playbook
from .look import LAYOUT, Look, looks
from .request import ROLLOUT, Prepared

Began = Callable[[int, int], object]


class Rollout:
    """To a layout, in the inventory's order."""

    playbook = "migprov.gpu.rollout"
    action = LAYOUT

    def __init__(self, prepared: Prepared, id: str | None, copy: Path | None) -> None:
        self.prepared = prepared
        self._id = id
        self._copy = copy

    def look(self, hosts: Sequence[str], private: Path) -> tuple[dict[str, Look], str]:
        """Look at these nodes; changes nothing."""
        return looks(hosts, self._run(hosts, private, lambda _pid, _ticks: None, tags="preflight"))

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
        self, hosts: Sequence[str], private: Path, began: Began, tags: str | None = None, skip_tags: str | None = None
    ) -> Iterator[dict[str, Any]]:
        request = self.prepared.request
        job = playbook.Job(
            self.playbook,
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
            told |= {"mig_layout_file": str(self._copy or request.file), "mig_layout_name": request.name}
        if request.drain is not None:
            told["mig_layout_drain"] = request.drain
        if request.timeout is not None:
            told["mig_layout_drain_timeout"] = request.timeout
        if request.stop_on_error:
            told["mig_layout_stop_on_error"] = True
        return told

    @property
    def _change(self) -> str:
        return f"roll {self._id}" if self._id else "roll"


def of(prepared: Prepared, id: str | None, copy: Path | None) -> Rollout:
    """The work of a request."""
    if prepared.request.kind == ROLLOUT:
        return Rollout(prepared, id, copy)
    raise BadRequest(f"There are no rolls of the kind {prepared.request.kind!r}.")
