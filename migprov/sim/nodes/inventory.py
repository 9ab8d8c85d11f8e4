"""The inventory and known_hosts of a fleet, as Ansible and OpenSSH read them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from migprov.sim.nodes import power

GROUP = "gpu_nodes"


@dataclass(frozen=True)
class Host:
    """What the inventory says of one node; `public_key` is its host key as one line."""

    name: str
    address: str
    port: int
    remote_tmp: Path
    directory: Path
    interpreter: str
    public_key: str


def quoted(path: Path) -> str:
    """A path as the value of an option of `ssh`, which splits it at spaces otherwise."""
    return f'"{path}"' if {" ", "'"} & set(str(path)) else str(path)


def known_hosts(hosts: Iterable[Host]) -> str:
    """The lines of a known_hosts file for these hosts."""
    return "".join(f"[{host.address}]:{host.port} {host.public_key}\n" for host in hosts)


def inventory(hosts: Iterable[Host], *, user: str, key: Path, known: Path) -> str:
    """An Ansible inventory in YAML with all hosts in the group `gpu_nodes`. Host keys are checked."""
    options = {
        "UserKnownHostsFile": quoted(known),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
    }
    variables = {
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": " ".join(f"-o {shlex.quote(f'{k}={v}')}" for k, v in options.items()),
    }
    nodes = {
        host.name: {
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_remote_tmp": str(host.remote_tmp),
            "ansible_python_interpreter": host.interpreter,
            # Of the role mig_layout: what it would call otherwise reboots the real machine.
            "mig_layout_reboot_command": power.reboot_command(host.directory),
            "mig_layout_boot_time_command": power.boot_time_command(host.directory),
        }
        for host in hosts
    }
    groups = {"all": {"children": {GROUP: {"hosts": nodes, "vars": variables}}}}
    text = yaml.safe_dump(groups, sort_keys=False, width=1000)
    return f"# Simulated GPU nodes, written by `migprov sim up`.\n{text}"
