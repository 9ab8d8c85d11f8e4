"""A small real sshd on loopback for each test that wants one; every process is ended by its pid."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from migprov.connect.target import Target

SSHD = Path("/usr/sbin/sshd")


class Sshd:
    """One OpenSSH server with its own home, host keys and log. `home` is HOME of whoever logs in."""

    def __init__(self, directory: Path, kinds: Sequence[str], environment: dict[str, str], more: Sequence[str]):
        self.directory = directory
        self.home = directory / "home"
        self.key = directory / "id_ed25519"
        self.known_hosts = directory / "known_hosts"
        self.log = directory / "sshd.log"
        self.bin = directory / "bin"
        for folder in (self.home, self.bin):
            folder.mkdir(parents=True)
        keygen(self.key)
        self.host_keys = [directory / f"host_{kind}" for kind in kinds]
        for kind, path in zip(kinds, self.host_keys, strict=True):
            keygen(path, kind)
        self.environment = {"HOME": str(self.home), "PATH": f"{self.bin}:/usr/bin:/bin", **environment}
        self.more = more
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        for _ in range(5):  # another process may take the port between the choice and sshd
            with socket.socket() as chosen:
                chosen.bind(("127.0.0.1", 0))
                self.port = chosen.getsockname()[1]
            if self._try():
                break
        else:
            raise RuntimeError(self.log.read_text())
        self.know(*self.host_keys)

    def _try(self) -> bool:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = " ".join(f'"{name}={value}"' for name, value in self.environment.items())
        (self.directory / "authorized_keys").write_text(Path(f"{self.key}.pub").read_text())
        lines = [
            *self.more,  # first: of two lines about one thing the first counts
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {path}" for path in self.host_keys),
            f"PidFile {self.directory / 'pid'}",
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "LogLevel VERBOSE",
            f"SetEnv {settings}",
        ]
        (self.directory / "config").write_text("\n".join(lines) + "\n")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", self.directory / "config"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while self._process.poll() is None:
            if "Server listening" in self.log.read_text():
                return True
            time.sleep(0.005)
        return False

    def stop(self) -> None:
        if self._process is not None:
            below = descendants(self._process.pid)
            self._process.terminate()
            self._process.wait(20)
            for pid in below:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process = None

    def drop_sessions(self) -> None:
        """End the servers of all sessions, so that their connections break."""
        assert self._process
        for pid in descendants(self._process.pid):
            with suppress(FileNotFoundError, ProcessLookupError):
                if "sshd" in Path(f"/proc/{pid}/comm").read_text():
                    os.kill(pid, signal.SIGKILL)

    def commands(self) -> int:
        """How many commands were run over it: the round trips."""
        return self.log.read_text().count("Starting session: command")

    def know(self, *host_keys: Path, name: str | None = None) -> None:
        """Write known_hosts anew with just these host keys."""
        name = name or f"[127.0.0.1]:{self.port}"
        lines = [f"{name} {' '.join(Path(f'{path}.pub').read_text().split()[:2])}\n" for path in host_keys]
        self.known_hosts.write_text("".join(lines))

    def target(self, **options: Any) -> Target:
        given = {
            "name": "gpu1",
            "port": self.port,
            "user": getpass.getuser(),
            "key_files": (str(self.key),),
            "known_hosts": str(self.known_hosts),
            "ssh_config": "none",
            **options,
        }
        return Target(given.pop("host", "127.0.0.1"), **given)

    def script(self, name: str, text: str) -> str:
        """An executable on the node; its path."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    @property
    def cache(self) -> Path:
        """Where the program lies on the node."""
        return self.home / ".cache" / "migprov"


def descendants(pid: int) -> list[int]:
    """The processes below `pid`."""
    below = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            below += [int(word), *descendants(int(word))]
    return below


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """A new SSH key pair at `path`."""
    size = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", passphrase, "-f", path], check=True)


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of whoever runs the tests have no part in them."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(name="keygen")
def keygen_fixture() -> Callable[..., None]:
    return keygen


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts a server: `sshd(kinds=("ed25519",), environment={}, more=[])`."""
    if not SSHD.exists():
        pytest.skip("no OpenSSH server on this machine")
    started: list[Sshd] = []

    def start(
        kinds: Sequence[str] = ("ed25519",), environment: dict[str, str] | None = None, more: Sequence[str] = ()
    ) -> Sshd:
        server = Sshd(tmp_path / f"sshd{len(started)}", kinds, environment or {}, more)
        started.append(server)
        server.start()
        return server

    try:
        yield start
    finally:
        for server in started:
            server.stop()


@pytest.fixture
def server(sshd: Callable[..., Sshd]) -> Sshd:
    """One server with the defaults."""
    return sshd()
