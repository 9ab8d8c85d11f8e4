"""One simulated node: a real sshd on loopback before a simulated driver of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from migprov.sim.driver import SimNode
from migprov.sim.errors import SimError
from migprov.sim.nodes import keys, power, processes, record, sshd, sudo
from migprov.sim.nodes.errors import SimNodesError, SimNodesRequestError
from migprov.sim.nodes.processes import Process

STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# In the environment of whatever runs on a node, so that ending the node finds it, daemons included.
MARK = "MIGPROV_SIM_SESSION"
START_SECONDS = 60.0


@dataclass
class FleetNode:
    """A simulated node of a fleet.

    `directory` holds all of it: `home`, `root` (root's home), `bin` (first on PATH), `driver`, the server's
    files. `user` logs in with the private key file `key`.
    """

    name: str
    directory: Path
    port: int
    user: str
    key: Path
    known_hosts: Path
    inventory: Path
    interpreter: str
    sudo: sudo.Kind = "real"
    host: str = sshd.ADDRESS
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def sim(self) -> SimNode:
        """Its simulated driver."""
        return SimNode.open(self.directory / "driver")

    @property
    def home(self) -> Path:
        """The home of `user` on this node."""
        return self.directory / "home"

    @property
    def root_home(self) -> Path:
        """The home of root on this node."""
        return self.directory / "root"

    @property
    def host_key(self) -> str:
        """Its public host key as one line."""
        return (self.directory / "host_key.pub").read_text().strip()

    @property
    def server(self) -> Process | None:
        """Its SSH server, `None` while it is down. Read anew each time: another process may have rebooted it."""
        return record.read_server(self.directory)

    @property
    def running(self) -> bool:
        """Whether its SSH server runs."""
        return self.server is not None

    @property
    def environment(self) -> dict[str, str]:
        """What every process on this node has in its environment, but for HOME."""
        # Without Python, `bin` has all the rest.
        standard = "" if self.interpreter == _absent(self.directory) else f":{STANDARD_PATH}"
        driver = self.sim.env(base={"PATH": str(self.directory / "bin") + standard})
        return {"LANG": "C.UTF-8", **driver, MARK: self.mark}

    @property
    def mark(self) -> str:
        """The value of MIGPROV_SIM_SESSION on this node."""
        return str(self.directory)

    def build(self, client_key: str) -> None:
        """Write everything but the driver, which is there already; `client_key` is the public key let in."""
        login = pwd.getpwnam(self.user)
        for folder in (self.home, self.root_home, self.directory / "bin"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        self.root_home.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(self.home, login.pw_uid, login.pw_gid)
        keys.write_pair(self.directory / "host_key", self.name)
        authorized = self.directory / "authorized_keys"
        authorized.write_text(client_key + "\n")
        authorized.chmod(0o644)
        self._build_bin()
        self.configure()

    def configure(self) -> None:
        """Write the configuration of its server, for the port that it has now."""
        environment = {"HOME": str(self.home), **self.environment}
        text = sshd.configuration(self.directory, self.port, self.user, environment)
        (self.directory / "sshd_config").write_text(text)

    def _build_bin(self) -> None:
        folder = self.directory / "bin"
        wrapper = folder / "sudo"
        wrapper.write_text(
            sudo.script(
                self.sudo,
                login=self.user,
                home=str(self.home),
                root_home=str(self.root_home),
                environment=self.environment,
            )
        )
        wrapper.chmod(0o755)
        power.write_programs(self.directory)
        if self.interpreter == _absent(self.directory):
            _link_all_but_python(folder)
        elif self.interpreter != "/usr/bin/python3":
            (folder / "python3").symlink_to(self.interpreter)

    def launch(self) -> None:
        """Start its server, without waiting for it."""
        power.booted(self.directory)
        self._child = sshd.start(self.directory, {MARK: self.mark})

    def wait(self, deadline: float | None = None) -> bool:
        """Wait until it answers; False when another process has taken its port (see `sshd.wait`)."""
        if self._child is None:
            raise SimNodesError(f"{self.name} was not started here.")
        deadline = time.monotonic() + START_SECONDS if deadline is None else deadline
        answers = sshd.wait(self.directory, self.port, self._child, deadline)
        # Not before it answers: between fork and exec the program was still ours.
        if (server := processes.identify(self._child.pid)) is not None:
            record.write_server(self.directory, server)
        return answers

    def start(self) -> None:
        """Start its server again on the port it had, and wait until it answers.

        Raises:
            SimNodesError: the server does not start, or the port belongs to another process now.
        """
        self.launch()
        if not self.wait():
            raise SimNodesError(
                f"Port {self.port} of {self.name} belongs to another process now.",
                next="end that process, or end these nodes (migprov sim down) and start new ones",
            )

    def processes(self) -> list[Process]:
        """Its server and whatever runs on it, sessions and what they left behind included."""
        return running_on([self])

    def servers(self) -> list[Process]:
        """Its server, also one that was started here and does not answer yet."""
        own = processes.identify(self._child.pid) if self._child is not None else None
        return [server for server in (self.server, own) if server is not None]

    def forget_server(self) -> None:
        """Take note that its server has ended."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None

    def holders(self) -> list[Process]:
        """The processes that hold its GPUs and what keeps its services running, also if started from outside."""
        try:
            pids = [*self.sim.supervisors(), *self.sim.holders()]
        except SimError:  # cut off before it had a driver
            return []
        return [process for pid in pids if (process := processes.identify(pid))]

    def stop(self) -> list[Process]:
        """End its server and everything that runs on it. Returns what could not be ended."""
        return stop([self])

    def reboot(self) -> None:
        """Reboot: all processes end, the driver forgets what a reboot makes it forget, the server starts.

        Raises:
            SimNodesError: a process could not be ended, or the server does not start again.
        """
        if left := self.stop():
            raise unstoppable(left, self.name)
        self.sim.reboot()
        self.start()


def running_on(nodes: Collection[FleetNode]) -> list[Process]:
    """The servers of these nodes and whatever runs on them."""
    servers = [server for node in nodes for server in node.servers()]
    # What a session left behind has another parent by now: the mark tells.
    marked = processes.marked(f"{MARK}={node.mark}" for node in nodes)
    rest = [*marked, *(holder for node in nodes for holder in node.holders())]
    return list(dict.fromkeys([*servers, *processes.offspring(servers), *rest, *processes.offspring(rest)]))


def stop(nodes: Collection[FleetNode]) -> list[Process]:
    """End these nodes and everything that runs on them, at once. Returns what could not be ended."""
    left = processes.end(lambda: running_on(nodes))
    for node in nodes:
        node.forget_server()
    return left


def unstoppable(left: list[Process], where: str) -> SimNodesError:
    """The error for processes that did not end."""
    pids = ", ".join(str(process.pid) for process in left)
    return SimNodesError(f"{where}: processes {pids} could not be ended.", next="end them as the user they run as")


def _absent(directory: Path) -> str:
    """The interpreter of a node that has none."""
    return str(directory / "bin" / "python3")


def _link_all_but_python(folder: Path) -> None:
    for origin in map(Path, STANDARD_PATH.split(":")):
        for program in origin.iterdir() if origin.is_dir() else ():
            link = folder / program.name
            if not program.name.startswith("python") and not link.is_symlink() and not link.exists():
                link.symlink_to(program)


def interpreter_for(directory: Path, python: str) -> str:
    """The path of the interpreter of a node: `auto` (the system's, else ours), `missing`, or a path.

    Raises:
        SimNodesRequestError: there is no program at that path.
    """
    if python == "missing":
        return _absent(directory)
    if python == "auto":
        found = shutil.which("python3", path=f"/usr/bin:{STANDARD_PATH}")
        # Ours may be that of a virtual environment, which is nothing without its folder.
        return found or str(Path(sys.executable).resolve())
    if not (os.path.isfile(python) and os.access(python, os.X_OK)):
        raise SimNodesRequestError(f"There is no Python at {python}.")
    return str(Path(python).absolute())
