"""Services of a simulated node: real processes that hold its GPUs, in units that its `systemctl` starts and stops.

A unit is a file `units/NAME.json`; all else is the work of `systemctl.py`, which the node has as `bin/systemctl`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import build, install
from . import state as layout
from .errors import SimError
from .holders import words_of

_LIMIT_S = 60.0
FAILS = ("start", "stop")


class Service:
    """A unit of a simulated node."""

    def __init__(self, node: Path, unit: str) -> None:
        self._node = node
        self.unit = unit

    def __repr__(self) -> str:
        return f"Service({self.unit!r})"

    def start(self) -> None:
        """Start it and wait until its process holds its GPUs. Raises SimError."""
        try:
            self._systemctl("start")
        except SimError as error:
            refusal = _record(self._node, self.unit).get("refusal")
            if refusal is None or self._settings()["fails"] == "start":
                raise
            raise SimError(f"{self.unit} does not start: {refusal}") from error

    def stop(self) -> None:
        """Stop it and wait until it has ended. Raises SimError."""
        self._systemctl("stop")

    def fail(self, verb: str | None) -> None:
        """Let `start` or `stop` of it fail from now on; None: neither. Raises SimError."""
        if verb not in (None, *FAILS):
            raise SimError(f"what fails of a service is {' or '.join(FAILS)}, not {verb!r}")
        _write(self._node / "units" / f"{self.unit}.json", {**self._settings(), "fails": verb})

    def _settings(self) -> dict[str, Any]:
        return dict(json.loads((self._node / "units" / f"{self.unit}.json").read_text()))

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self._shown("ActiveState") == "active"

    @property
    def pid(self) -> int:
        """Its process's pid, 0 while it does not run."""
        return int(self._shown("MainPID"))

    def _shown(self, name: str) -> str:
        return self._systemctl("show", "--property", name, "--value")

    def _systemctl(self, verb: str, *options: str) -> str:
        owner = (self._node / "state").stat().st_uid
        # what runs is the node's: who owns it can end it again
        other = {"user": owner, "extra_groups": ()} if os.geteuid() == 0 and owner else {}
        done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
            [self._node / "bin" / "systemctl", verb, *options, "--", self.unit],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
            cwd="/",
            **other,
        )
        if done.returncode:
            raise SimError(f"systemctl {verb} {self.unit}: {done.stderr.strip()}")
        return done.stdout.strip()


def declare(
    node: Path,
    name: str,
    gpus: Sequence[int],
    *,
    kind: str,
    memory_mib: int,
    mig_uuid: str | None,
    restart: bool,
    ignores_term: bool,
    command: str | None,
    enabled: bool,
) -> Service:
    """Write a unit of the node in the folder `node`. Raises SimError when it is no good one."""
    unit = _unit(name)
    if "/" in unit or unit.startswith(".") or not unit.isprintable():
        raise SimError(f"{name!r} cannot be the name of a service")
    if kind not in layout.KINDS:
        raise SimError(f"a process cannot be {kind!r}", next=f"use one of: {', '.join(layout.KINDS)}")
    if memory_mib < 0:
        raise SimError(f"a process cannot hold {memory_mib} MiB")
    words = words_of(command, f"/usr/bin/{unit.removesuffix('.service')}")
    folders(node)
    install.program(build.holder(), node / "lib" / build.HOLDER)
    install.program(Path(__file__).with_name("systemctl.py"), node / "bin" / "systemctl")
    settings = {
        "description": f"{unit.removesuffix('.service')}, simulated",
        "command": words,
        "environment": {
            "MIGPROV_HOLD_GPU": "-1" if mig_uuid else ",".join(map(str, gpus)),
            "MIGPROV_HOLD_MIG": mig_uuid or "",
            "MIGPROV_HOLD_BYTES": str(memory_mib << 20),
            "MIGPROV_HOLD_KIND": str(layout.KINDS.index(kind)),
            "MIGPROV_HOLD_SIGTERM": "ignore" if ignores_term else "",
        },
        "restart": restart,
        "restart_s": 0.02,
        "stop_s": 0.5,
        "enabled": enabled,
        "fails": None,
    }
    _write(node / "units" / f"{unit}.json", settings)
    return Service(node, unit)


def folders(node: Path) -> None:
    """The folders that units, their records and the stand-in for /proc/PID/cgroup lie in; they are the node's."""
    owner = (node / "state").stat()
    for name in ("units", "run", "cgroup"):
        folder = node / name
        if not folder.is_dir():
            folder.mkdir(mode=0o755)
            if os.geteuid() == 0:
                os.chown(folder, owner.st_uid, owner.st_gid, follow_symlinks=False)  # whoever owns the node can move it


def units(node: Path) -> list[str]:
    """The names of the node's units."""
    return sorted(path.name.removesuffix(".json") for path in (node / "units").glob("*.json"))


def _unit(name: str) -> str:
    return name if name.endswith(".service") else f"{name}.service"


def exists(node: Path, name: str) -> bool:
    """Whether a service of that name was declared."""
    return _unit(name) in units(node)


def find(node: Path, name: str) -> Service:
    """The unit of that name. Raises SimError."""
    if not exists(node, name):
        raise SimError(f"{node} has no service {_unit(name)}", next="see `migprov sim service`")
    return Service(node, _unit(name))


def boot(node: Path) -> None:
    """Start the units that are enabled, as at the end of a boot."""
    for unit in units(node):
        if json.loads((node / "units" / f"{unit}.json").read_text())["enabled"]:
            with contextlib.suppress(SimError):  # as at a boot: it stands in the unit's state
                Service(node, unit).start()


def supervisors(node: Path) -> list[int]:
    """The pids of the processes that keep active units running."""
    records = [_record(node, unit) for unit in units(node)]
    return [int(record["supervisor"]) for record in records if _runs(record)]


def _record(node: Path, unit: str) -> dict[str, Any]:
    """What the supervisor of a unit wrote down; nothing where none did."""
    try:
        return dict(json.loads((node / "run" / f"{unit}.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def remove(node: Path, unit: str) -> None:
    """Forget a unit that does not run."""
    for path in (node / "units" / f"{unit}.json", node / "run" / f"{unit}.json"):
        path.unlink(missing_ok=True)


def cut_off(node: Path) -> None:
    """End all that keeps units running, as by a power cut; their own processes are left to the caller."""
    for pid in supervisors(node):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    limit = time.monotonic() + _LIMIT_S
    for path in (node / "run").glob("*.lock"):
        with path.open("r+b") as file:
            while not _free(file.fileno()):
                if time.monotonic() > limit:
                    raise SimError(f"{path.name}: its supervisor does not end")
                time.sleep(0.002)
    for folder in ("run", "cgroup"):
        for path in (node / folder).glob("*"):
            path.unlink(missing_ok=True)


def _free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(record: dict[str, Any]) -> bool:
    try:
        fields = Path(f"/proc/{record['supervisor']}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, KeyError):
        return False
    return fields[0] not in "ZX" and int(fields[19]) == record["since"]


def _write(path: Path, settings: dict[str, Any]) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with fresh.open("x") as file:  # a new file, see install.py
        json.dump(settings, file, indent=1)
        os.fchmod(file.fileno(), 0o644)
    fresh.rename(path)
