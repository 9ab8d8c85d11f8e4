"""`migprov sim up` and `migprov sim down`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import cast

import click

from migprov.sim.nodes.fleet import open_fleet
from migprov.sim.nodes.fleet import up as start
from migprov.sim.nodes.inventory import quoted
from migprov.sim.nodes.sudo import Kind

DIRECTORY = "migprov-sim"

_directory = click.option(
    "--dir", "directory", type=click.Path(path_type=Path), default=DIRECTORY, show_default=True,
    help="Where the nodes keep everything.",
)  # fmt: skip


@click.command("up")
@click.option("--nodes", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many nodes.")
@click.option(
    "--gpus",
    multiple=True,
    default=("3xA100-80GB",),
    show_default=True,
    help="The GPUs of a node, such as 3xA100-80GB or 2xA100-40GB,1xT4. Given several times: the nodes in turn.",
)
@_directory
@click.option("--driver-version", help="Version of the simulated driver, such as 535.183.01.")
@click.option("--user", help="Who logs in (as root: any user of this machine).  [default: you]")
@click.option("--sudo", type=click.Choice(["real", "simulated", "refused"]), help="What sudo does on the nodes.")
@click.option("--python", default="auto", show_default=True, help="The nodes' Python: a path, or 'missing'.")
def up(
    nodes: int,
    gpus: tuple[str, ...],
    directory: Path,
    driver_version: str | None,
    user: str | None,
    sudo: str | None,
    python: str,
) -> None:
    """Start simulated GPU nodes: real SSH servers on loopback, each before a simulated driver of its own.

    Writes inventory.yml, known_hosts and the key id_ed25519 into the folder.
    """
    fleet = start(
        directory,
        nodes=nodes,
        gpus=gpus,
        driver_version=driver_version,
        user=user,
        sudo=cast("Kind | None", sudo),
        python=python,
    )
    inventory, folder = (shlex.quote(_short(path)) for path in (fleet.inventory, fleet.directory))
    first = fleet.nodes[0]
    click.echo(f"{nodes} simulated {'node' if nodes == 1 else 'nodes'} up: {', '.join(gpus)}. Next:\n")
    click.echo(f"  migprov info -i {inventory}")
    click.echo(f"  ansible -i {inventory} gpu_nodes -m migprov.gpu.mig_info")
    known = shlex.quote(f"UserKnownHostsFile={quoted(Path(_short(fleet.known_hosts)))}")
    key = shlex.quote(_short(fleet.key))
    click.echo(f"  ssh -i {key} -o {known} -p {first.port} {first.user}@{first.host} nvidia-smi -L")
    click.echo(f"  migprov sim down --dir {folder}")


@click.command("down")
@_directory
@click.option("--keep", is_flag=True, help="Keep the files, logs included.")
def down(directory: Path, keep: bool) -> None:
    """End the simulated nodes of a folder and everything that runs on them, and nothing else."""
    fleet = open_fleet(directory)
    if fleet is None:
        click.echo(f"There are no simulated nodes in {directory}; nothing to do.")
        return
    fleet.down(keep=keep)
    click.echo(f"{len(fleet.nodes)} simulated {'node' if len(fleet.nodes) == 1 else 'nodes'} ended.")


def _short(path: Path) -> str:
    """Relative to the current folder where it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
