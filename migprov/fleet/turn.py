"""One node's turn: connect, do the task, let go; all of it within a time that somebody else may call over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..connect.node import Node, open_node
from ..connect.target import Target
from ..errors import CallTimeout, MigprovError, NodeError
from ..result import Result

Task = Callable[[Node], Result]

CONNECT_STAGES = 10
"""Times the limit of one stage of connecting that a node without a limit of its own may take to connect."""
GRACE_S = 2.0
"""Seconds that a task has to give up by itself, which says more than being given up."""
_AGAIN = "read the node with 'migprov info'. Running the same again is safe: it starts from what the GPUs are then."


class Turn:
    """Its methods but `work` are for the thread that watches. `limit_s`: seconds for the node, or None."""

    def __init__(self, target: Target, task: Task, limit_s: float | None) -> None:
        self.target = target
        self.bug: Exception | None = None
        self._task = task
        self._limit_s = target.timeout + CONNECT_STAGES * target.connect_timeout if limit_s is None else limit_s
        self._until = time.monotonic() + self._limit_s
        self._lock = threading.Lock()
        self._node: Node | None = None
        self._asked = ""  # the task that the node was asked for last
        self._changing = False
        self._over = False

    # -- in the worker -------------------------------------------------------------------------------------------

    def work(self) -> Result | None:
        """The outcome, whatever it is; None when the turn was given up meanwhile."""
        result = self._outcome()
        with self._lock:
            was_over, self._over = self._over, True
        return None if was_over else result

    def _outcome(self) -> Result:
        name = self.target.name
        try:
            with open_node(self.target) as node:
                self._connected(node)
                return self._task(node)
        except NodeError as error:
            return Result.from_error(name, "", error)
        except MigprovError as error:
            return Result(name, "", error=error.to_json())
        except Exception as error:  # a bug in the task must not cost the other nodes their results
            self.bug = error
            message = f"{name}: the task raised {type(error).__name__}: {error}"
            return Result(name, "", error={"code": "internal", "message": message, "next": None})

    def _connected(self, node: Node) -> None:
        with self._lock:
            if self._over:
                raise self._too_late()
            self._node = node
            node.bound = self._bound

    def _bound(self, task: str, changes: bool, limit_s: float, waiting_s: float) -> float:
        """Seconds that a call may take: its own limit, or what is left of the turn. A wait asked for is not counted."""
        with self._lock:
            self._until += waiting_s
            left = self._until - time.monotonic()
            if self._over or left <= 0:
                raise self._too_late()
            self._asked, self._changing = task, changes or self._changing
        return min(limit_s, left)

    def _too_late(self) -> CallTimeout:
        return CallTimeout(
            f"the {self._limit_s:g} s of this node were over before it was asked; nothing was changed.",
            host=self.target.name,
            next="run again.",
        )

    # -- in the thread that watches ------------------------------------------------------------------------------

    @property
    def ends(self) -> float:
        """When to give it up, by time.monotonic()."""
        with self._lock:
            return self._until + (GRACE_S if self._asked else 0)

    def give_up(self) -> Result | None:
        """Call the turn over: the result `timeout`; None when it has ended by itself.

        A task that only reads is broken off. A change is left to itself.
        """
        with self._lock:
            if self._over:
                return None
            self._over = True
            node, asked, changing = self._node, self._asked, self._changing
        if node is not None and not changing:
            # Closing can block as long as the node does.
            threading.Thread(target=node.close, daemon=True).start()
        return Result.from_error(self.target.name, asked, self._timeout(asked, changing))

    def _timeout(self, asked: str, changing: bool) -> CallTimeout:
        if changing:
            what = "no answer within the {} s of this node; the change was not broken off, what it did is not known."
            hint = _AGAIN
        else:
            what = "no answer within the {} s of this node; nothing was changed."
            if not asked:
                what = what.replace("answer", "connection")
            hint = "see whether the node, its jump hosts and its name server answer, or give it more time."
        return CallTimeout(what.format(f"{self._limit_s:g}"), host=self.target.name, next=hint)
