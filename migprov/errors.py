"""The errors that the control side raises.

Everything derives from `MigprovError`. What is wrong with a request (a layout file, an inventory, a
selector) is a `BadRequest`: nothing was contacted and nothing was changed. What is wrong with one node is a
`NodeError`: it names the node and carries a `code` of docs/architecture.md and the next action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .result import Result


class MigprovError(Exception):
    """Base of every error of migprov. `message` is one sentence, `next` what to do about it or None."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, next: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next = next

    def __str__(self) -> str:
        if not self.next:
            return self.message
        return f"{self.message}{'' if self.message.endswith(('.', '?')) else '.'} Next: {self.next}"

    def to_json(self) -> dict[str, Any]:
        """The `error` object of a reply: `code`, `message` and `next`."""
        return {"code": self.code, "message": self.message, "next": self.next}


class BadRequest(MigprovError):
    """The request is wrong. No node was contacted; nothing was changed."""

    code = "bad_request"


class LayoutFileError(BadRequest):
    """A layout file cannot be used. `file` and `line` (1-based) are None where they are not known."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, next: str | None = None
    ) -> None:
        super().__init__(message, next=next)
        self.file = file
        self.line = line

    def __str__(self) -> str:
        where = "".join(f"{part}:" for part in (self.file, self.line) if part is not None)
        return f"{where} {super().__str__()}" if where else super().__str__()


class InventoryError(BadRequest):
    """An inventory, or one of its hosts, cannot be used."""


class NodeError(MigprovError):
    """Something is wrong with one node, `host`.

    `unreachable` is True where migprov could not talk to the node at all, or lost it. `outcome_unknown` is
    True where a changing task may have gone on after the answer was lost.
    """

    unreachable: ClassVar[bool] = False
    outcome_unknown: bool = False

    def __init__(self, message: str, *, host: str = "", next: str | None = None) -> None:
        super().__init__(f"{host}: {message}" if host else message, next=next)
        self.host = host


class Unreachable(NodeError):
    """No SSH connection: refused, no route, unknown name, a time limit, a proxy that failed."""

    code = "unreachable"
    unreachable = True


class HostKeyError(NodeError):
    """The node's host key is not the one that known_hosts gives."""

    code = "host_key"
    unreachable = True


class HostKeyUnknown(HostKeyError):
    """known_hosts has no key for the node."""


class HostKeyChanged(HostKeyError):
    """known_hosts has another key for the node, or says that this one is revoked."""


class AuthFailed(NodeError):
    """The node accepts none of the keys for this user."""

    code = "auth"
    unreachable = True


class ConnectionLost(NodeError):
    """The connection broke while the program was at work."""

    code = "connection_lost"
    unreachable = True
    outcome_unknown = True


class CallTimeout(NodeError):
    """The program did not answer in time. It is not ended: a half-done change would be worse."""

    code = "timeout"
    outcome_unknown = True


class SudoRefused(NodeError):
    """sudo did not let the user become the wanted user."""

    code = "sudo_refused"


class NoPython(NodeError):
    """No Python interpreter was found on the node."""

    code = "no_python"


class PythonTooOld(NodeError):
    """The node's Python is older than 3.8."""

    code = "python_too_old"


class UnsafeFolder(NodeError):
    """Somebody else could write into the folder that holds the program on the node."""

    code = "unsafe_folder"


class CannotStore(NodeError):
    """The program cannot be stored on the node: no home folder, no space, read-only."""

    code = "cannot_store"


class BadReply(NodeError):
    """What came back is not a reply of the program."""

    code = "bad_reply"
    outcome_unknown = True


class ProgramMissing(NodeError):
    """The node does not have the program yet. Transports answer this by installing it."""

    code = "program_missing"


class NodeFailed(NodeError):
    """The program answered with an error. `result` is the whole answer, `error` its error object."""

    def __init__(self, result: Result) -> None:
        error: Mapping[str, Any] = result.error or {}
        super().__init__(str(error.get("message", "the task failed")), host=result.host, next=error.get("next") or None)
        self.result = result
        self.error = dict(error)

    @property
    def error_code(self) -> str:
        """The node's own code, for example `gpu_busy`."""
        return str(self.error.get("code", "internal"))

    def to_json(self) -> dict[str, Any]:
        return dict(self.error)


class SourceError(MigprovError):
    """A source of measurements (a Prometheus server) answers, but not with what is needed."""

    code = "source_failed"


class SourceUnreachable(SourceError):
    """A source of measurements cannot be reached: refused, unknown name, no answer in time, TLS that does not hold."""

    code = "source_unreachable"


class FleetError(MigprovError):
    """Some nodes failed or were unreachable. `results` has the Result of every node, good ones too."""

    code = "fleet"

    def __init__(self, results: Mapping[str, Result]) -> None:
        self.results: dict[str, Result] = dict(results)
        bad = [result for result in results.values() if result.failed]
        shown = "; ".join(_line(result) for result in bad[:3])
        more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
        super().__init__(f"{len(bad)} of {len(results)} nodes did not succeed: {shown}{more}")

    @property
    def failed(self) -> dict[str, Result]:
        """The nodes that failed or were unreachable."""
        return {host: result for host, result in self.results.items() if result.failed}

    @property
    def unreachable(self) -> dict[str, Result]:
        """The nodes that were unreachable."""
        return {host: result for host, result in self.results.items() if result.unreachable}


class FleetInterrupted(KeyboardInterrupt):
    """Ctrl-C while many nodes were worked on. `results` has the Result of every node that was finished.

    `in_hand` are the nodes that a second Ctrl-C left at work: what became of them is not known.
    """

    def __init__(self, results: Mapping[str, Result], in_hand: Sequence[str] = ()) -> None:
        left = f", with {', '.join(in_hand)} still at work" if in_hand else ""
        super().__init__(f"interrupted after {len(results)} nodes{left}")
        self.results: dict[str, Result] = dict(results)
        self.in_hand = tuple(in_hand)


def _line(result: Result) -> str:
    message = str((result.error or {}).get("message", "failed"))
    return message if message.startswith(f"{result.host}:") else f"{result.host}: {message}"
