"""One OpenSSH server of a simulated node: its configuration, its start, and whether it answers."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from migprov.sim.nodes.errors import SimNodesError, SimNodesRequestError, SshdMissingError

BINARY = Path("/usr/sbin/sshd")
ADDRESS = "127.0.0.1"


@cache
def version() -> tuple[int, int]:
    """The version of the installed OpenSSH server.

    Raises:
        SshdMissingError: there is none.
    """
    if not BINARY.exists():
        raise SshdMissingError(
            f"There is no OpenSSH server on this machine ({BINARY}), which simulated nodes are.",
            next="install it (Debian, Ubuntu: apt-get install openssh-server; no service needs to run)",
        )
    # Before 9.2 there is no -V, but the complaint about it names the version all the same.
    answer = subprocess.run([BINARY, "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", answer.stderr + answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def configuration(directory: Path, port: int, user: str, environment: Mapping[str, str]) -> str:
    """The sshd_config of the node in `directory`; `environment` is that of every session.

    curve25519 because the default key exchange of OpenSSH 9 costs its client ten times the processor time.
    """
    lines = [
        f"Port {port}",
        f"ListenAddress {ADDRESS}",
        f"HostKey {_word(directory / 'host_key')}",
        f"PidFile {_word(directory / 'sshd.pid')}",
        f"AuthorizedKeysFile {_word(str(directory / 'authorized_keys').replace('%', '%%'))}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no" if version() >= (8, 7) else "ChallengeResponseAuthentication no",
        "PermitRootLogin prohibit-password",
        f"AllowUsers {user}",
        "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org",
        "UseDNS no",
        "PrintMotd no",
        "PrintLastLog no",
        "MaxStartups 500:30:1000",
        "MaxSessions 100",
        # sshd itself starts every session in the home that passwd gives, which is not the node's.
        f"Subsystem sftp internal-sftp -d {_word(environment['HOME'])}",
        # One line: sshd takes the first SetEnv only.
        "SetEnv " + " ".join(_word(f"{name}={value}") for name, value in environment.items()),
    ]
    if version() >= (9, 8):
        # Every client comes from one address here; a refused login must not lock out the rest.
        lines.append("PerSourcePenalties no")
    return "\n".join(lines) + "\n"


def _word(value: object) -> str:
    text = str(value)
    if '"' in text or "\n" in text:
        raise SimNodesRequestError(f"{text!r} cannot stand in an sshd_config.", next="choose another directory (--dir)")
    return f'"{text}"'


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on right now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((ADDRESS, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(directory: Path, mark: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the server of the node in `directory`, in the background of the whole machine.

    By `mark`, in its environment, it is found until it has written its pid.
    """
    if os.geteuid() == 0:
        # Where sshd, when root runs it, locks away the part of itself that talks to strangers.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (directory / "sshd.log").open("ab") as log:
        return subprocess.Popen(
            [BINARY, "-D", "-e", "-f", directory / "sshd_config"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            # Nothing of the caller's environment belongs on a node.
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **mark},
        )


def wait(directory: Path, port: int, server: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait until the server answers as SSH on its port. False when another process has taken the port.

    Raises:
        SimNodesError: it ended for another reason, or does not answer before `deadline` (`time.monotonic`).
    """
    while time.monotonic() < deadline:
        if server.poll() is not None:
            log = (directory / "sshd.log").read_text(errors="replace").strip()
            if "already in use" in log:
                return False
            raise SimNodesError(
                f"sshd of {directory.name} ended with status {server.returncode}: {log or 'no message'}"
            )
        if _pid_written(directory, server.pid) and _answers(port):
            return True
        time.sleep(0.005)
    raise SimNodesError(
        f"sshd of {directory.name} does not answer on port {port}.", next=f"see {directory / 'sshd.log'}"
    )


def _pid_written(directory: Path, pid: int) -> bool:
    """sshd writes its pid file once the port is its own."""
    try:
        return (directory / "sshd.pid").read_text().strip() == str(pid)
    except OSError:
        return False


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((ADDRESS, port), timeout=5) as client:
            return client.recv(4) == b"SSH-"
    except OSError:
        return False
