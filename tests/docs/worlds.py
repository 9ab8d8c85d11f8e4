"""What lies before a reader of each page: the nodes, the files, the programs.

CONTRIBUTING.md ("Docs") promises the standard. A page that starts its nodes itself (`migprov sim up`) begins with an
empty folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from migprov.sim.nodes import Fleet, open_fleet, up

from . import exceptions, pages, services, warm

EXAMPLE = "inventories/layouts/voice.yml"


@dataclass(frozen=True)
class World:
    nodes: int = 2
    gpus: str | Sequence[str] = "3xA100-80GB"
    files: Mapping[str, str] = field(default_factory=dict)
    """Files and folders of the checkout, by their place in the reader's folder."""
    setup: Sequence[str] = ()
    """Commands before the page's own; `$SIM` is the folder of the simulated nodes."""
    group_vars: Mapping[str, object] = field(default_factory=dict)
    swaps: Mapping[str, str] = field(default_factory=dict)
    """What stands on the page for something of the reader's own: what it is here. `{...}` are of the services."""
    services: Sequence[str] = ()
    """Of `services.py`: programs that run beside the nodes."""
    long: bool = False
    """Rolls as other pages do, and takes long: with all tests only."""


STANDARD: Mapping[str, str] = {
    "layouts.yml": EXAMPLE,
    "layouts/voice.yml": EXAMPLE,
    "workloads.yml": "demo/workloads.yml",
}
FEW = 2
"""Up to so many calls of migprov on a page are started from nothing; for more of them see `warm.py`."""

# Where a page needs something else than the standard.
WORLDS: dict[str, World] = {
    # It starts two nodes of its own, and ends with a fleet that is at work.
    "README.md": World(
        files={"demo/layouts.yml": "demo/layouts.yml"},
        swaps={"--for 3600 --every 10": "--for 2 --every 0.5 --min-samples 3"},
        setup=(
            "rm workloads.yml",
            "for node in gpu1 gpu2; do migprov sim hold -n $SIM/nodes/$node 1 9830 --command speech-to-text; done",
        ),
    ),
    "docs/advice.md": World(nodes=0),  # it reads files alone
    # Its inventory names the layouts, which the page says further below.
    "docs/ansible.md": World(group_vars={"mig_layouts_file": "layouts.yml", "mig_layout": "voice"}, long=True),
    "docs/audit.md": World(
        swaps={"--for 3600 --every 10": "--for 2 --every 0.5", "https://prometheus.example.org:9090": "{prometheus}"},
        services=("prometheus",),
    ),
    "docs/ci.md": World(nodes=0, files={"docs/infra-repo": "docs/infra-repo"}),
    "docs/how-to-plain.md": World(long=True),
    "docs/rollout.md": World(long=True),
    "docs/walkthrough.md": World(nodes=0, long=True),
    "docs/inventory.md": World(group_vars={"rack": "r7"}),
    "docs/how-to-slurm.md": World(
        services=("slurm",),
        long=True,
        group_vars={
            "gpu_drain_slurm_conf": "{conf}",
            "gpu_drain_slurm_dev": "{dev}",
            "gpu_drain_slurm_slurmctld_restart": ["{ctl}", "restart", "slurmctld"],
            "gpu_drain_slurm_slurmd_stop": ["{ctl}", "stop", "{{{{ inventory_hostname }}}}"],
            "gpu_drain_slurm_slurmd_start": ["{ctl}", "start", "{{{{ inventory_hostname }}}}"],
        },
        setup=("export SLURM_CONF={conf}",),
    ),
    "docs/slurm.md": World(
        nodes=0,
        services=("slurm",),
        setup=("export SLURM_CONF={conf}",),
        swaps={"/etc/slurm/slurm.conf": "{conf}"},
    ),
    "docs/simulator.md": World(nodes=0),  # it makes a machine of its own
    # It starts ten nodes of its own, and ends with a look at a fleet that is there.
    "docs/quickstart.md": World(),
}


@dataclass(frozen=True)
class Place:
    folder: Path
    env: dict[str, str]
    world: World
    known: Mapping[str, str]

    def real(self, text: str) -> str:
        """The text of the page, with what is the reader's own."""
        for shown, meant in self.world.swaps.items():
            text = text.replace(shown, meant.format_map(self.known))
        return text


def of(page: str) -> World:
    return WORLDS.get(page) or World(nodes=0 if starts_nodes(page) else World.nodes)


def starts_nodes(page: str) -> bool:
    return any(command.text.startswith("migprov sim up") for b in pages.blocks(page) for command in pages.commands(b))


@contextlib.contextmanager
def prepared(page: str) -> Iterator[Place]:
    """The place of one page; all that was started there is ended."""
    world = of(page)
    with contextlib.ExitStack() as stack:
        # A short path: OpenSSH's control sockets lie below it.
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="md-", ignore_cleanup_errors=True)))
        base.chmod(0o755)
        folder, home = base / "work", base / "home"
        folder.mkdir()
        (home / ".ssh").mkdir(parents=True)
        (home / "ansible.cfg").touch()
        (home / ".ssh" / "config").touch()
        stack.callback(_end_all, folder)
        known: dict[str, str] = {}
        for name in world.services:
            known |= stack.enter_context(services.SERVICES[name](base))
        if world.nodes:
            fleet = stack.enter_context(up(base / "sim", nodes=world.nodes, gpus=world.gpus))
            _inventory(folder / "inventory", fleet, world, known)
            (home / ".ssh" / "config").write_text(_ssh_config(fleet))
        empty = not world.nodes and starts_nodes(page)
        files = {**({} if empty else STANDARD), **world.files}
        for name, source in files.items():
            _copy(pages.ROOT / source, folder / name)
        env = os.environ | {
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_SSH_ARGS": f"-F {home}/.ssh/config -C -o ControlMaster=auto -o ControlPersist=20s",
            "COLUMNS": "120",
            "SIM": str(base / "sim"),
        }
        if len(_calls(page)) > FEW:
            ready = stack.enter_context(warm.ready(base / "bin", env))
            env["PATH"] = f"{ready}:{env['PATH']}"
        yield Place(folder, env, world, known)


def _calls(page: str) -> list[pages.Command]:
    """Of migprov, on that page."""
    every = [command for block in pages.blocks(page) for command in pages.commands(block)]
    return [each for each in every if "migprov " in each.text and not exceptions.of_command(each)]


def _inventory(folder: Path, fleet: Fleet, world: World, known: Mapping[str, str]) -> None:
    folder.mkdir()
    hosts = yaml.safe_load(fleet.inventory.read_text())
    children = hosts["all"]["children"]
    children["voice"] = {"hosts": {node.name: None for node in fleet.nodes}}
    children["gpu_nodes"]["vars"] |= {name: _filled(value, known) for name, value in world.group_vars.items()}
    if "slurm" in world.services:
        children["slurm_login"] = {"hosts": {"login": {"ansible_connection": "local"}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts, sort_keys=False))


def _filled(value: object, known: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return value.format_map(known)
    return [_filled(each, known) for each in value] if isinstance(value, list) else value


def _ssh_config(fleet: Fleet) -> str:
    """So that `ssh gpu1`, and everything that reads OpenSSH's configuration, finds the nodes."""
    hosts = [
        f"Host {node.name}\n  HostName {node.host}\n  Port {node.port}\n  User {node.user}\n" for node in fleet.nodes
    ]
    common = (
        f"Host *\n  IdentityFile {fleet.key}\n  UserKnownHostsFile {fleet.known_hosts}\n"
        "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n"
    )
    return "".join(hosts) + common


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _end_all(folder: Path) -> None:
    """The fleets that the page itself started and left."""
    for key in list(folder.glob("*/id_ed25519")):
        fleet = open_fleet(key.parent)
        if fleet is not None:
            fleet.down()
