"""Fleets of simulated nodes: start them all at once, find them again, end just those."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from migprov.sim.driver import DRIVER_VERSION, SimNode
from migprov.sim.nodes import inventory, keys, record, sshd, sudo
from migprov.sim.nodes.errors import SimNodesError, SimNodesRequestError
from migprov.sim.nodes.node import START_SECONDS, FleetNode, interpreter_for, running_on, stop, unstoppable

_FILES = ("inventory.yml", "known_hosts", "id_ed25519", "id_ed25519.pub", record.NAME)  # the record last
_PORT_ATTEMPTS = 5
_EACH_SECONDS = 0.2  # more, for each of hundreds of servers that start at once


@dataclass
class Fleet:
    """Simulated nodes of one folder. As a context manager it ends them on leaving."""

    directory: Path
    user: str
    nodes: list[FleetNode] = field(default_factory=list)

    @property
    def inventory(self) -> Path:
        """The inventory for Ansible and `migprov -i`."""
        return self.directory / "inventory.yml"

    @property
    def known_hosts(self) -> Path:
        """The host keys of all nodes, as OpenSSH reads them."""
        return self.directory / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that every node lets in."""
        return self.directory / "id_ed25519"

    @property
    def as_record(self) -> record.Record:
        """What a later command must know of it."""
        nodes = [record.NodeRecord(n.name, n.port, n.sudo, n.interpreter) for n in self.nodes]
        return record.Record(self.user, nodes)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *exc: object) -> None:
        self.down()

    def __iter__(self) -> Iterator[FleetNode]:
        return iter(self.nodes)

    def node(self, name: str) -> FleetNode:
        """The node of that name.

        Raises:
            SimNodesRequestError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise SimNodesRequestError(
            f"There is no simulated node {name!r} in {self.directory}.", next=f"name one of: {names}"
        )

    def write(self) -> None:
        """Write the record, inventory and known_hosts of what the fleet is now."""
        record.write(self.directory, self.as_record)
        hosts = [
            inventory.Host(n.name, n.host, n.port, n.home / ".ansible/tmp", n.directory, n.interpreter, n.host_key)
            for n in self.nodes
        ]
        self.known_hosts.write_text(inventory.known_hosts(hosts))
        self.inventory.write_text(inventory.inventory(hosts, user=self.user, key=self.key, known=self.known_hosts))

    def down(self, keep: bool = False) -> None:
        """End the nodes and everything that runs on them, and remove their files unless `keep`.

        Raises:
            SimNodesError: a process could not be ended (its files stay then).
        """
        if left := stop(self.nodes):
            raise unstoppable(left, str(self.directory))
        if not keep:
            _remove(self.directory)


def up(
    directory: str | os.PathLike[str],
    nodes: int = 3,
    gpus: str | Sequence[str] = "3xA100-80GB",
    *,
    driver_version: str | None = None,
    user: str | None = None,
    sudo: sudo.Kind | None = None,
    python: str = "auto",
) -> Fleet:
    """Start `nodes` simulated nodes in `directory` and wait until all answer.

    Args:
        directory: where everything of the fleet lies; made when missing.
        nodes: how many.
        gpus: what each node has, such as `3xA100-80GB` or `2xA100-40GB,1xT4`; a list: the nodes in turn.
        driver_version: of the simulated driver; `None`: the driver's default.
        user: who logs in; `None`: whoever calls. Another user takes root.
        sudo: see `migprov.sim.nodes.sudo`; `None`: `real` for root, else `simulated`.
        python: `auto`, `missing` (the nodes have none), or the path of an interpreter.

    Raises:
        SimNodesRequestError: the request cannot be met.
        SimNodesError: a server did not start. In both cases nothing is left behind.
    """
    sshd.version()
    root = Path(directory).absolute()
    kinds = [gpus] if isinstance(gpus, str) else list(gpus)
    login = _login(user)
    if nodes < 1 or not kinds:
        raise SimNodesRequestError(f"{nodes} nodes with {len(kinds)} lists of GPUs: at least one of each.")
    _check_name(root)
    fleet = Fleet(root, login)
    kind = sudo or ("real" if os.geteuid() == 0 else "simulated")
    for number, port in enumerate(sshd.free_ports(nodes), start=1):
        name = f"gpu{number:0{len(str(nodes))}}"
        fleet.nodes.append(_describe(fleet, name, port, kind, python))
    with _alone(root):
        _claim(fleet)
        try:
            if login != _me():
                _check_reachable(root, login)
            client_key = keys.write_pair(fleet.key, "migprov sim")
            for number, node in enumerate(fleet.nodes):
                _create_driver(node, kinds[number % len(kinds)], driver_version)
                node.build(client_key)
            fleet.write()
            _start(fleet)
        except BaseException:
            fleet.down()
            raise
    return fleet


def open_fleet(directory: str | os.PathLike[str]) -> Fleet | None:
    """The fleet that `up` started in `directory`, or `None` when there is none."""
    root = Path(directory).absolute()
    known = record.read(root)
    if known is None:
        return None
    fleet = Fleet(root, known.user)
    for each in known.nodes:
        node = _describe(fleet, each.name, each.port, cast(sudo.Kind, each.sudo), "auto")
        node.interpreter = each.interpreter
        fleet.nodes.append(node)
    return fleet


def node_at(directory: str | os.PathLike[str]) -> FleetNode | None:
    """The node of a fleet whose folder this is, or `None` when it is none's."""
    folder = Path(directory).absolute()
    fleet = open_fleet(folder.parent.parent) if folder.parent.name == "nodes" else None
    return next((node for node in fleet or () if node.directory == folder), None)


def _describe(fleet: Fleet, name: str, port: int, kind: sudo.Kind, python: str) -> FleetNode:
    directory = fleet.directory / "nodes" / name
    return FleetNode(
        name=name,
        directory=directory,
        port=port,
        user=fleet.user,
        key=fleet.key,
        known_hosts=fleet.known_hosts,
        inventory=fleet.inventory,
        interpreter=interpreter_for(directory, python),
        sudo=kind,
    )


def _create_driver(node: FleetNode, gpus: str, driver_version: str | None) -> None:
    node.directory.mkdir(parents=True)
    for folder in (node.directory, node.directory.parent):
        folder.chmod(0o755)
    SimNode.create(node.directory / "driver", gpus=gpus, driver_version=driver_version or DRIVER_VERSION)


def _start(fleet: Fleet) -> None:
    """Start all servers at once; one whose port was taken in the meantime gets another."""
    waiting = fleet.nodes
    for _ in range(_PORT_ATTEMPTS):
        for node in waiting:
            node.launch()
        deadline = time.monotonic() + START_SECONDS + len(waiting) * _EACH_SECONDS
        waiting = [node for node in waiting if not node.wait(deadline)]
        if not waiting:
            return
        for node, port in zip(waiting, sshd.free_ports(len(waiting)), strict=True):
            node.port = port
            (node.directory / "sshd.log").unlink()
            node.configure()
        fleet.write()
    raise SimNodesError("Other processes keep taking the ports of the simulated nodes.")


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _login(user: str | None) -> str:
    if user is None or user == _me():
        return _me()
    if os.geteuid() != 0:
        raise SimNodesRequestError(f"Only root can let {user} log in to simulated nodes.", next="leave the user out")
    try:
        return pwd.getpwnam(user).pw_name
    except KeyError:
        raise SimNodesRequestError(f"There is no user {user} on this machine.") from None


def _check_name(root: Path) -> None:
    if "%" in str(root) or "${" in str(root):
        raise SimNodesRequestError(
            f"{root}: OpenSSH expands % and ${{...}} in the names of its files.",
            next="choose another directory (--dir)",
        )


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Make the folder, and keep every other `up` out of it. The kernel lets the next one in when this one dies."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as problem:
        raise SimNodesRequestError(
            f"Simulated nodes cannot be made in {root}: {problem.strerror}.", next="choose another directory (--dir)"
        ) from None
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SimNodesRequestError(
                f"Another `migprov sim up` is at work in {root}.",
                next="wait for it, or choose another directory (--dir)",
            ) from None
        yield
    finally:
        os.close(folder)


def _claim(fleet: Fleet) -> None:
    """Write down whose the folder is, so that from now on `down` finds it; what an ended fleet left there goes."""
    root = fleet.directory
    known = open_fleet(root)
    if known is not None:
        if running_on(known.nodes):
            raise SimNodesRequestError(
                f"Simulated nodes run in {root} already.",
                next=f"end them first: migprov sim down --dir {shlex.quote(str(root))}",
            )
        _empty(root)
    elif any(not record.is_draft(path) for path in root.iterdir()):
        raise SimNodesRequestError(
            f"{root} is there already and holds no simulated nodes.", next="choose another directory (--dir)"
        )
    record.write(root, fleet.as_record)


def _empty(root: Path) -> None:
    shutil.rmtree(root / "nodes", ignore_errors=True)
    for path in (*(root / name for name in _FILES), *filter(record.is_draft, root.iterdir())):
        path.unlink(missing_ok=True)


def _remove(root: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another `down` was faster
        _empty(root)
        if not any(root.iterdir()):
            root.rmdir()


def _check_reachable(root: Path, user: str) -> None:
    """Another user's session must reach its home: every folder above lets others through."""
    for folder in (root, *root.parents):
        if not folder.stat().st_mode & 0o001:
            raise SimNodesRequestError(
                f"{user} cannot pass through {folder} to the simulated nodes.",
                next="choose another directory (--dir)",
            )
