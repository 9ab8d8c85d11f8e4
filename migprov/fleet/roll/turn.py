"""What the turn of each node of a batch came to, out of the events of the playbook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...result import Result
from .events import NodeDone

_FAILED_HOSTS = (0, 2, 4)
"""How ansible-playbook ends when it has run: all well, a host failed, a host was unreachable."""


class Turns:
    """The turns of these nodes. `action`: the module whose replies say what was changed; none where nothing is."""

    def __init__(self, hosts: Sequence[str], action: str) -> None:
        self._hosts = hosts
        self._action = action
        self._replies: dict[str, list[Mapping[str, Any]]] = {host: [] for host in hosts}
        self._messages: dict[str, str] = {}
        self._errors: dict[str, Mapping[str, Any]] = {}
        self._lost: set[str] = set()
        self._stats: Mapping[str, Any] | None = None
        self._end: Mapping[str, Any] = {}
        self.said: list[str] = []

    def take(self, event: Mapping[str, Any]) -> None:
        """One event more."""
        kind, host = event["event"], event.get("host")
        if kind == "said":
            self.said.append(event["text"])
        elif kind == "stats":
            self._stats = event
        elif kind == "end":
            self._end = event
        elif kind == "result" and host in self._replies:
            self._result(str(host), event)

    def _result(self, host: str, event: Mapping[str, Any]) -> None:
        res = event["res"]
        if event["action"] == self._action and event["status"] in ("ok", "failed"):
            self._replies[host].append(res)
        if event["status"] == "unreachable":
            self._lost.add(host)
        if event["status"] in ("failed", "unreachable") and not event["ignored"]:
            # The last word is the playbook's own, which knows what was and was not changed.
            self._messages[host] = str(res.get("msg"))
            if res.get("error"):
                self._errors[host] = res["error"]

    def results(self) -> list[NodeDone]:
        """What each node came to, once the playbook has ended."""
        return [self._node(host) for host in self._hosts]

    def _node(self, host: str) -> NodeDone:
        result, message = self._judged(host)
        looks = self._replies[host]
        replies = [reply for reply in looks if not _is_look(reply)]
        before = next((r["before"] for r in looks if r.get("before")), None)
        after = next((r["after"] for r in reversed(replies) if r.get("after")), before)
        whole = Result(
            host=host,
            task=self._action.rpartition(".")[2].removeprefix("mig_"),
            changed=any(r.get("changed") for r in replies) or result == "done",
            before=before,
            after=after,
            steps=tuple(step for r in replies for step in r.get("steps") or ()),
            planned=tuple(step for r in replies[:1] for step in r.get("planned") or ()),
            data={"gpus": replies[-1]["gpus"]} if replies and isinstance(replies[-1].get("gpus"), dict) else {},
            error=None if message is None else self._error(host, result, message),
        )
        return NodeDone(host, result, message, instances(before), instances(after), whole)

    def _judged(self, host: str) -> tuple[str, str | None]:
        if self._end.get("rc") not in _FAILED_HOSTS or self._stats is None:
            ended = self._end.get("problem") or f"ansible-playbook ended with exit status {self._end.get('rc')}"
            return "failed", self._messages.get(host) or f"its turn has no end: {ended}"
        if self._stats["dark"].get(host) or (host in self._lost and self._stats["failures"].get(host)):
            return "unreachable", self._messages.get(host, "unreachable")
        if self._stats["failures"].get(host):
            return "failed", self._messages.get(host, "no message")
        if self._end["rc"] and self._action and not self._replies[host]:
            return "failed", "its turn was cut off because of another node; nothing was changed by this one"
        if not self._stats["processed"].get(host):
            return "failed", "ansible-playbook did not do anything with it"
        return ("done" if self._stats["changed"].get(host) else "unchanged"), None

    def _error(self, host: str, result: str, message: str) -> dict[str, Any]:
        if result == "unreachable":
            return {"code": "unreachable", "message": message, "next": None}
        return dict(self._errors.get(host) or {"code": "task_failed", "message": message, "next": None})


def _is_look(reply: Mapping[str, Any]) -> bool:
    """Whether that was a look ahead: steps that were not done. A change that was broken off has an error."""
    return bool(reply.get("steps")) and not reply.get("changed") and not reply.get("error")


def instances(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The GPU instances by GPU: `{"1": ["3g.40gb at 0", ...]}`, None for a GPU with MIG off or without an answer."""
    if state is None:
        return None
    return {
        str(gpu["index"]): [f"{gi['profile']} at {gi['start']}" for gi in gpu.get("instances") or ()]
        if gpu.get("mig_current")
        else None
        for gpu in state["gpus"]
    }
