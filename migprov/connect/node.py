"""A node: the tasks of the node program as typed methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from ..errors import BadReply, BadRequest, ConnectionLost, NodeError, NodeFailed
from ..mig.errors import MigError
from ..node.request import READING
from ..result import Result
from .call import Connection, call
from .command import PROTOCOL
from .draining import Policy, drain_params, waiting_s
from .holders import holders
from .target import Target
from .who import who

Gpus: TypeAlias = str | int | Sequence[int | str]
"""Which GPUs: "all", or an index, a UUID or a PCI bus id, or several of them."""
Wanted: TypeAlias = str | Mapping[str, Any]
"""A GPU instance: its profile, or `{"profile": ..., "start": ..., "compute_instances": ...}`."""


class _Entry(Protocol):
    def to_json(self) -> dict[str, Any]: ...


class _Layout(Protocol):
    @property
    def entries(self) -> Iterable[_Entry]: ...


Layout: TypeAlias = _Layout | Sequence[Mapping[str, Any]]
"""A `migprov.layouts.Layout`, or its entries as plain data."""


class Node:
    """One node, connected. Close it, or use it in a `with` statement. One thread at a time.

    Every task returns a `Result`. `check=True` tells what would be done and writes nothing.

    Tasks that change take what is to happen to work in the way: `drain` is `refuse` (the default), `wait` or
    `terminate`, or `{"policy", "timeout_s", "agents"}`; `drain_timeout` is the time for all of that work together, in
    seconds (default 300); `agents` are the systemd units that are stopped and started again under every policy
    (default: `migprov.mig.drain.AGENTS`). With `stop_on_error` one GPU's refusal or failure keeps the others as they
    are; otherwise they get their layout, and `data["gpus"]` says how each one fared.

    Every task raises:
        NodeFailed: the node answered with an error; `.result` is the whole answer.
        NodeError: no answer; its subclasses and `code` say why.
    Tasks that change also raise:
        BadRequest: there is no such `drain`; the node was not asked.
    """

    way = "library"
    """The way in, for the node's journal."""
    bound: Callable[[str, bool, float, float], float] | None = None
    """Who else limits a call. Given the task, whether it changes, its limit and the wait in it, says its seconds."""

    def __init__(self, target: Target, connection: Connection) -> None:
        self.target = target
        self._connection = connection

    @property
    def name(self) -> str:
        """What the node is called in results."""
        return self.target.name

    # -- what only reads -----------------------------------------------------------------------------------------

    def info(self, processes: bool = True) -> Result:
        """The GPUs, how they are cut and, with `processes`, who holds them. Never writes."""
        return self.task("info", {"processes": processes})

    def holders(self, gpus: Gpus = "all") -> Result:
        """Who holds the GPUs: `data["holders"]`, a process each, with the `gpu` it is on. Never writes.

        `data["unread"]` are the GPUs that do not answer, whose holders nobody knows.
        """
        result = self.info()
        selectors = _selectors(gpus)
        try:
            found = holders(result.after or {}, selectors if isinstance(selectors, str) else tuple(selectors))
        except MigError as error:
            told = {"code": error.code, "message": error.message, "gpu": None, "next": error.next}
            raise NodeFailed(replace(result, error=told)) from None
        return replace(result, data={**result.data, **found})

    def driver(self, minimum: str | None = None) -> Result:
        """Check that the driver is there and at least `minimum` (None: what each product needs)."""
        return self.task("driver", {"minimum": minimum})

    def verify(self, layout: Layout, cuda: bool = False) -> Result:
        """Check that the GPUs are exactly as the layout says; with `cuda` also that CUDA works on every device.

        Never changes anything. `data["cuda"]` of the result says for each device's UUID how it went.
        """
        return self.task("verify", {"entries": _entries(layout), **({"cuda": True} if cuda else {})})

    def history(self) -> Result:
        """What was changed on this node, oldest first: `data["changes"]`. Never writes.

        Each has `id`, `when`, `who`, `task`, `before` (a layout), `planned` (steps), `services`, `message` and
        `result`: `done`, `failed` or, where the run died on the way, `interrupted`.
        """
        return self.task("history", {})

    def usage(self) -> Result:
        """What is used now: `data["usage"]`, beside the state with its processes. Never writes.

        Of each GPU that answers: `gpu`, `uuid`, `busy_percent` (None with MIG) and `instances`, of which each has
        `gi_id`, `memory_mib` and `memory_used_mib`.
        """
        return self.task("usage", {})

    # -- what changes --------------------------------------------------------------------------------------------

    def mig_mode(
        self,
        enabled: bool,
        gpus: Gpus = "all",
        check: bool = False,
        *,
        drain: Policy = "refuse",
        drain_timeout: float | None = None,
        agents: Sequence[str] | None = None,
        stop_on_error: bool = False,
    ) -> Result:
        """Switch MIG mode, with the reset that it needs."""
        params = {"enabled": enabled, "gpus": _selectors(gpus)}
        return self._change("mig_mode", params, check, drain_params(drain, drain_timeout, agents), stop_on_error)

    def reset(
        self,
        gpus: Gpus = "all",
        force: bool = False,
        check: bool = False,
        *,
        drain: Policy = "refuse",
        drain_timeout: float | None = None,
        agents: Sequence[str] | None = None,
        stop_on_error: bool = False,
    ) -> Result:
        """Reset the GPUs that need it; with `force` also those that do not."""
        params = {"gpus": _selectors(gpus), "force": force}
        return self._change("reset", params, check, drain_params(drain, drain_timeout, agents), stop_on_error)

    def instances(
        self,
        instances: Sequence[Wanted],
        gpus: Gpus = "all",
        check: bool = False,
        *,
        drain: Policy = "refuse",
        drain_timeout: float | None = None,
        agents: Sequence[str] | None = None,
        stop_on_error: bool = False,
    ) -> Result:
        """Give the GPUs exactly these instances, keeping those that fit. MIG mode must be on."""
        params = {"instances": [_instance(one) for one in instances], "gpus": _selectors(gpus)}
        return self._change("instances", params, check, drain_params(drain, drain_timeout, agents), stop_on_error)

    def layout(
        self,
        layout: Layout,
        check: bool = False,
        *,
        drain: Policy = "refuse",
        drain_timeout: float | None = None,
        agents: Sequence[str] | None = None,
        stop_on_error: bool = False,
    ) -> Result:
        """Bring the GPUs to the layout: mode, reset, instances, whatever is needed and nothing else."""
        params = {"entries": _entries(layout)}
        return self._change("layout", params, check, drain_params(drain, drain_timeout, agents), stop_on_error)

    def rollback(
        self,
        check: bool = False,
        *,
        drain: Policy = "refuse",
        drain_timeout: float | None = None,
        agents: Sequence[str] | None = None,
        stop_on_error: bool = False,
    ) -> Result:
        """Go back to the mode and the placements before the last change.

        That is a change too: a second rollback goes forward again.
        """
        return self._change("rollback", {}, check, drain_params(drain, drain_timeout, agents), stop_on_error)

    def drain(
        self,
        gpus: Gpus = "all",
        policy: Policy = "refuse",
        timeout: float | None = None,
        agents: Sequence[str] | None = None,
        check: bool = False,
        *,
        stop_on_error: bool = False,
    ) -> Result:
        """Have no work on the GPUs: refuse while there is any, wait for its end, or end it.

        `timeout` is for all of it together, in seconds (default 300). Agents stay: a change that needs them gone
        stops them itself.
        """
        params = {"gpus": _selectors(gpus)}
        return self._change("drain", params, check, drain_params(policy, timeout, agents), stop_on_error)

    def task(self, task: str, params: Mapping[str, Any], *, check: bool = False) -> Result:
        """Any task by its name on the wire (docs/architecture.md)."""
        request = {"protocol": PROTOCOL, "task": task, "params": dict(params), "check": check}
        waiting = 0.0
        if task not in READING:
            request["who"] = who(self.way)
            # The target's limit is for what the program does itself: a wait that was asked for must not be cut short.
            waiting = 0.0 if check else waiting_s(params.get("drain"))
        limit = self.target.timeout + waiting
        changes = task not in READING and not check
        if self.bound is not None:
            limit = self.bound(task, changes, limit, waiting)
        target = replace(self.target, timeout=limit)
        try:
            reply = call(self._connection, target, request)
        except NodeError as error:
            raise (error if changes else _of_a_read(error)) from error.__cause__
        result = Result.from_reply(self.name, reply)
        if result.error is not None:
            raise NodeFailed(result)
        return result

    def _change(
        self, task: str, params: Mapping[str, Any], check: bool, drain: Mapping[str, Any], stop_on_error: bool
    ) -> Result:
        return self.task(task, {**params, "drain": dict(drain), "stop_on_error": stop_on_error}, check=check)

    def close(self) -> None:
        """Let go of the node. Never raises."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _of_a_read(error: NodeError) -> NodeError:
    """The error of a call that never writes: what was changed is no question then."""
    if isinstance(error, ConnectionLost):
        error = ConnectionLost("the connection broke while it was read; nothing was changed.", host=error.host)
        error.next = "run again; if it stays, see what ends connections there (its memory, sshd's log, the network)."
    elif isinstance(error, BadReply) and error.outcome_unknown:
        error.next = "nothing was changed: see what a login prints there, and what sshd runs for it (ForceCommand)."
    error.outcome_unknown = False
    return error


def open_node(target: Target) -> Node:
    """Connect to `target`.

    Raises:
        BadRequest: the SSH configuration cannot be used.
        Unreachable, HostKeyError, AuthFailed: no connection came about.
    """
    if target.connection == "local":
        from .local import LocalConnection

        return Node(target, LocalConnection(target))
    from .ssh import SshConnection  # paramiko takes 100 ms to import

    return Node(target, SshConnection(target))


def connect(host: str, **options: Any) -> Node:
    """Connect to `host` over SSH; `options` are the fields of `Target`.

    with migprov.connect("gpu1", user="ops", become=True) as node:
        print(node.info().after)
    """
    return open_node(Target(host, **options))


def local(**options: Any) -> Node:
    """This machine, without SSH. `options` are the fields of `Target` that matter here (become, python...)."""
    return open_node(Target(**{"host": "localhost", **options, "connection": "local"}))


def _selectors(gpus: Gpus) -> str | list[int | str]:
    if isinstance(gpus, str):
        return "all" if gpus == "all" else [gpus]
    return [gpus] if isinstance(gpus, int) else list(gpus)


def _instance(wanted: Wanted) -> dict[str, Any]:
    given = {"profile": wanted} if isinstance(wanted, str) else dict(wanted)
    return {"start": None, "compute_instances": None, **given}


def _entries(layout: Layout) -> list[dict[str, Any]]:
    entries = getattr(layout, "entries", layout)
    if isinstance(entries, str | bytes | Mapping) or not isinstance(entries, Iterable):
        raise BadRequest("a layout is a migprov.layouts.Layout, or a list of its entries.")
    return [dict(entry) if isinstance(entry, Mapping) else entry.to_json() for entry in entries]
