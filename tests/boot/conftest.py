"""Machines with a real systemd and a simulated driver, and the role on them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from migprov.sim.driver import SimNode

from .container import Container, missing

ROOT = Path(__file__).resolve().parents[2]
SIM = "/opt/simulated"
SEED = "boot"
ENVIRONMENT = {
    "LD_LIBRARY_PATH": f"{SIM}/lib",
    # the machine's own systemctl, the driver's nvidia-smi
    "PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{SIM}/bin",
    "MIGPROV_DEV": f"{SIM}/dev",
}
ROLE = "migprov.gpu.mig_persist"
GOES_ON = {"ansible.builtin.fail": {"msg": "went on"}}
UNIT = "migprov-restore.service"
SAVED = "/etc/migprov/boot.json"
HALVES = [{"devices": "all", "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]


class Machine:
    """A container with the simulated driver of `sim` in it."""

    environment = ENVIRONMENT

    def __init__(self, folder: Path, below: list[Path], gpus: str, **options: Any) -> None:
        self.sim = SimNode.create(folder / "sim", gpus, seed=SEED, **options)
        self.inside = Container(folder / "machine", below, {self.sim.directory: SIM})

    def drop_in(self, unit: str, *lines: str) -> None:
        """Add settings to a unit."""
        self.inside.write(f"/etc/systemd/system/{unit}.d/test.conf", "\n".join(lines) + "\n")

    def service(self, name: str, *lines: str, install: str = "WantedBy=multi-user.target") -> None:
        """Add an enabled service with these lines in its section."""
        text = ["[Service]", *lines, "[Install]", install]
        self.inside.write(f"/etc/systemd/system/{name}", "\n".join(text) + "\n")
        link = self.inside.root / "etc/systemd/system" / f"{install.partition('=')[2]}.wants" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"/etc/systemd/system/{name}")

    def save(self, **changes: Any) -> None:
        """Change what is saved: for this machine's GPU, and keys of the request."""
        body = json.loads((self.inside.root / SAVED.lstrip("/")).read_text())
        body["params"]["entries"][0]["devices"] = [self.sim.show()["gpus"][0]["uuid"]]
        self.inside.write(SAVED, json.dumps(body | changes))

    def reboot(self) -> str:
        """Restart the machine and its GPUs."""
        self.inside.shut_down()
        self.sim.reboot()
        return self.inside.boot()

    def journal(self) -> list[dict[str, Any]]:
        """What the restore itself wrote since the machine started."""
        listed = self.inside.run("journalctl", "-b", "-t", "migprov-restore", "-o", "json", "--no-pager").stdout
        return [json.loads(line) for line in listed.splitlines()]

    def program(self) -> str:
        """The path of the installed program, inside."""
        (found,) = (self.inside.root / "usr/local/lib/migprov").iterdir()
        return f"/usr/local/lib/migprov/{found.name}"

    def call(self, task: str, **params: Any) -> dict[str, Any]:
        """The reply of the installed program, run inside."""
        request = json.dumps({"protocol": 1, "task": task, "params": params})
        environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        command = ["env", *environment, "sh", "-c", 'printf %s "$1" | /usr/bin/python3 -I -S "$2"', "-", request]
        reply: dict[str, Any] = json.loads(self.inside.run(*command, self.program()).stdout)
        return reply

    def places(self) -> list[tuple[str, int]]:
        """The GPU instances of GPU 0, as (profile, start)."""
        return [(gi["profile"], gi["start"]) for gi in self.call("info")["after"]["gpus"][0]["instances"]]


@pytest.fixture(scope="session")
def root_file_system() -> Path:
    """The root file system of scripts/boot-root.sh, when it was made."""
    why = missing()
    if why:
        pytest.skip(why)
    script = ROOT / "scripts" / "boot-root.sh"
    path = Path(subprocess.run([script, "--path"], check=True, capture_output=True, text=True).stdout.strip())
    if not path.is_dir():
        pytest.skip("there is no root file system to boot: make boot makes it and runs these tests")
    return path


class Role:
    """A machine that Ansible reaches through its sshd, for the role."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.machine = Machine(folder, [root], "2xA100-80GB")
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
        inside = self.machine.inside
        inside.write("/root/.ssh/authorized_keys", (folder / "key.pub").read_text())
        # Only their owner may look at them, says sshd.
        (inside.root / "root/.ssh").chmod(0o700)
        environment = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
        inside.write(
            "/etc/ssh/sshd_config.d/test.conf",
            f"Port {self.port}\nListenAddress 127.0.0.1\nUsePAM no\nPasswordAuthentication no\nSetEnv {environment}\n",
        )
        host_key = (inside.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key[0]} {host_key[1]}\n")
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_pipelining": True,
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": str(folder / "key"),
            "ansible_ssh_common_args": (
                f"-F /dev/null -o UserKnownHostsFile={folder}/known_hosts -o GlobalKnownHostsFile=/dev/null"
            ),
        }
        (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"machine": variables}}}))

    def play(self, *options: str, expect: int = 0, **variables: Any) -> tuple[int, str]:
        """Run the role with these variables; returns how many tasks changed something, and the output."""
        said = self._run([{"role": ROLE, "vars": variables}], [], *options, expect=expect)
        changed = re.search(r" changed=(\d+) ", said)
        return int(changed[1]) if changed else 0, said

    def refused(self, cases: list[dict[str, Any]]) -> list[str]:
        """What the role says to each set of variables, all of which it has to refuse."""
        tasks = [
            {
                "vars": variables,
                "block": [{"ansible.builtin.include_role": {"name": ROLE}}, GOES_ON],
                "rescue": [{"ansible.builtin.debug": {"msg": "END OF CASE"}}],
            }
            for variables in cases
        ]
        return self._run([], tasks).split("END OF CASE")[: len(cases)]

    def _run(self, roles: list[Any], tasks: list[Any], *options: str, expect: int = 0) -> str:
        play = {"hosts": "all", "gather_facts": False, "roles": roles, "tasks": tasks}
        book = self.folder / "play.yml"
        book.write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", self.folder / "inventory.yml", book, *options],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.folder, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        assert "went on" not in done.stdout
        return done.stdout + done.stderr


@pytest.fixture(scope="session")
def short() -> Iterator[Path]:
    """A folder with a short name: an overlay's options have a limit, and so have OpenSSH's sockets."""
    with tempfile.TemporaryDirectory(prefix="migprov-boot-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def role(root_file_system: Path, short: Path) -> Iterator[Role]:
    """A machine that is up, with nothing of migprov on it."""
    role = Role(short / "role", root_file_system)
    try:
        assert role.machine.inside.boot() == "running"
        yield role
    finally:
        role.machine.inside.remove()


@pytest.fixture(scope="session")
def installed(root_file_system: Path, short: Path) -> Path:
    """What the role has put on a machine, as a layer of a file system."""
    role = Role(short / "installed", root_file_system)
    try:
        role.machine.inside.boot()
        role.play(mig_persist_config=[{**HALVES[0], "devices": [0]}])
        role.machine.inside.shut_down()
    finally:
        role.machine.inside.remove()
    # Machines on top of it run no sshd: it would take the same port.
    (role.machine.inside.layer / "etc/ssh/sshd_not_to_be_run").touch()
    return role.machine.inside.layer


@pytest.fixture
def machine(root_file_system: Path, installed: Path, short: Path) -> Iterator[Callable[..., Machine]]:
    """Make machines, not yet started, on which the role has been: `machine("1xH100")`."""
    made: list[Machine] = []

    def make(gpus: str, **options: Any) -> Machine:
        folder = Path(tempfile.mkdtemp(dir=short))
        machine = Machine(folder, [installed, root_file_system], gpus, **options)
        made.append(machine)
        environment = [f'Environment="{name}={value}"' for name, value in ENVIRONMENT.items()]
        machine.drop_in(UNIT, "[Service]", *environment)
        machine.save()
        return machine

    yield make
    for machine in made:
        machine.inside.remove()
