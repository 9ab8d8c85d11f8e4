"""What a fleet's folder says about the fleet, so that a later command finds it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from migprov.sim.nodes.errors import SimNodesRequestError
from migprov.sim.nodes.processes import Process, command_line, identify

NAME = "fleet.json"
_SERVER = "server.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class NodeRecord:
    """One node: its name, its port on loopback, which `sudo` it has and where its Python is."""

    name: str
    port: int
    sudo: str
    interpreter: str


@dataclass(frozen=True)
class Record:
    """A fleet: who logs in, and the nodes."""

    user: str
    nodes: list[NodeRecord]


def write(directory: Path, fleet: Record) -> None:
    """Write the record of the fleet in `directory`."""
    _write(directory / NAME, {"version": 1, **asdict(fleet)})


def is_draft(path: Path) -> bool:
    """Whether it is a record that was never finished, of a command that was killed."""
    return path.name.startswith(f".{NAME}.")


def read(directory: Path) -> Record | None:
    """The fleet of `directory`, or `None` when there is none.

    Raises:
        SimNodesRequestError: the file is not one that migprov wrote.
    """
    path = directory / NAME
    try:
        data = json.loads(path.read_text())
        return Record(data["user"], [NodeRecord(**node) for node in data["nodes"]])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise SimNodesRequestError(f"{path} cannot be read as a fleet of simulated nodes: {problem!r}") from problem


def write_server(node: Path, server: Process) -> None:
    """Write down the server that was started for the node in `node`."""
    _write(node / _SERVER, {"boot_id": _boot_id(), **asdict(server)})


def read_server(node: Path) -> Process | None:
    """The server of the node in `node`, or `None` when it does not run."""
    try:
        data = json.loads((node / _SERVER).read_text())
        server = Process(data["pid"], data["start"], data["exe"])
        # Start times count from boot: those of an earlier boot say nothing.
        if data["boot_id"] == _boot_id() and server.running:
            return server
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return _listener(node)


def _listener(node: Path) -> Process | None:
    """The server that names this node's configuration, for a start cut off before it was written down."""
    try:
        pid = int((node / "sshd.pid").read_text())
    except (OSError, ValueError):
        return None
    return identify(pid) if f"-f {node / 'sshd_config'}" in command_line(pid) else None


def _write(path: Path, data: dict[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps(data, indent=1) + "\n")
    draft.replace(path)


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()
