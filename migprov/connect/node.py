"""A node: the tasks of the node program as typed methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from ..errors import BadRequest, NodeFailed
from ..result import Result
from .call import Connection, call
from .command import PROTOCOL
from .target import Target

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

    Every task raises:
        NodeFailed: the node answered with an error; `.result` is the whole answer.
        NodeError: no answer; its subclasses and `code` say why.
    """

    def __init__(self, target: Target, connection: Connection) -> None:
        self.target = target
        self._connection = connection

    @property
    def name(self) -> str:
        """What the node is called in results."""
        return self.target.name

    def info(self, processes: bool = True) -> Result:
        """The GPUs, how they are cut and, with `processes`, who holds them. Never writes."""
        return self.task("info", {"processes": processes})

    def driver(self, minimum: str | None = None) -> Result:
        """Check that the driver is there and at least `minimum` (None: what each product needs)."""
        return self.task("driver", {"minimum": minimum})

    def mig_mode(self, enabled: bool, gpus: Gpus = "all", check: bool = False) -> Result:
        """Switch MIG mode, with the reset that it needs."""
        return self.task("mig_mode", {"enabled": enabled, "gpus": _selectors(gpus)}, check=check)

    def reset(self, gpus: Gpus = "all", force: bool = False, check: bool = False) -> Result:
        """Reset the GPUs that need it; with `force` also those that do not."""
        return self.task("reset", {"gpus": _selectors(gpus), "force": force}, check=check)

    def instances(self, instances: Sequence[Wanted], gpus: Gpus = "all", check: bool = False) -> Result:
        """Give the GPUs exactly these instances, keeping those that fit. MIG mode must be on."""
        wanted = [_instance(one) for one in instances]
        return self.task("instances", {"instances": wanted, "gpus": _selectors(gpus)}, check=check)

    def verify(self, layout: Layout, cuda: bool = False) -> Result:
        """Check that the GPUs are exactly as the layout says; with `cuda` also that CUDA works on every device.

        Never changes anything. `data["cuda"]` of the result says for each device's UUID how it went.
        """
        return self.task("verify", {"entries": _entries(layout), **({"cuda": True} if cuda else {})})

    def layout(self, layout: Layout, check: bool = False) -> Result:
        """Bring the GPUs to the layout: mode, reset, instances, whatever is needed and nothing else."""
        return self.task("layout", {"entries": _entries(layout)}, check=check)

    def task(self, task: str, params: Mapping[str, Any], *, check: bool = False) -> Result:
        """Any task by its name on the wire (docs/architecture.md)."""
        request = {"protocol": PROTOCOL, "task": task, "params": dict(params), "check": check}
        result = Result.from_reply(self.name, call(self._connection, self.target, request))
        if result.error is not None:
            raise NodeFailed(result)
        return result

    def close(self) -> None:
        """Let go of the node. Never raises."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
