"""`migprov sim`: make a simulated node, look at it, play tricks on it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from . import products as table
from . import services
from .driver import CONDITIONS, DRIVER_VERSION, SimNode
from .errors import SimError
from .state import KINDS
from .text import describe

_node = click.option(
    "-n", "--node", "folder", type=click.Path(path_type=Path), required=True,
    help="Folder of the simulated node, as made by `create` or by `up` (then one node's folder).",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("sim")
def sim() -> None:
    """Simulated GPU nodes: a driver with NVML's interface, and whole nodes behind SSH."""


@sim.command("create")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--gpus", default="3xA100-80GB", show_default=True, help="Such as 2xA100-40GB,1xT4; see `products`.")
@click.option("--driver-version", default=DRIVER_VERSION, show_default=True)
@click.option("--driver", type=click.Choice(CONDITIONS), default="loaded", show_default=True)
@click.option("--seed", help="What UUIDs and serials derive from.  [default: the folder's name]")
@click.option("--owner", type=int, help="uid that is root of the node.  [default: you]")
def create(folder: Path, gpus: str, driver_version: str, driver: str, seed: str | None, owner: int | None) -> None:
    """Make a simulated driver in FOLDER and print the environment that programs see it with."""
    node = SimNode.create(folder, gpus, driver_version, owner=owner, driver=driver, seed=seed)
    for name, path in node.env({}).items():
        rest = f'"${{{name}:+:${name}}}"' if name.endswith("PATH") else ""
        click.echo(f"export {name}={shlex.quote(path)}{rest}")


@sim.command("show")
@_node
@_json
def show(folder: Path, as_json: bool) -> None:
    """What the node is now: GPUs, instances, processes, faults."""
    found = _open(folder).show()
    click.echo(json.dumps(found, indent=1) if as_json else describe(found))


@sim.command("hold")
@_node
@click.argument("device")
@click.argument("memory_mib", type=click.IntRange(min=0), default=0)
@click.option("--kind", type=click.Choice(KINDS), default="compute", show_default=True)
@click.option("--command", help="The command line that the process shows.")
@click.option("--ignores-term", is_flag=True, help="It does not end on SIGTERM.")
@click.option("--user", type=int, help="uid that it runs as.  [default: you]")
@click.option("--cgroup", help="What its /proc/PID/cgroup says, such as 0::/system.slice/docker-ID.scope.")
def hold(folder: Path, device: str, memory_mib: int, **options: Any) -> None:
    """Start a process that holds MEMORY_MIB of DEVICE (index, GPU-... or MIG-...) and print its pid.

    A `monitor` has the device open but is in no list of processes.
    """
    click.echo(int(_open(folder).hold(device, memory_mib, **options)))


@sim.command("release")
@_node
@click.argument("pids", type=int, nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="Every process that holds a GPU of the node.")
def release(folder: Path, pids: tuple[int, ...], everyone: bool) -> None:
    """End processes that `hold` started on this node."""
    node = _open(folder)
    if bool(pids) == everyone:
        raise click.UsageError("Name pids, or --all.")
    held = node.holders()
    if others := [str(pid) for pid in pids if pid not in held]:
        raise SimError(f"no GPU of {node.directory} is held by process {', '.join(others)}; none was ended")
    for pid in held if everyone else pids:
        node.release(pid, missing_ok=True)


@sim.command("service")
@_node
@_json
@click.argument("name", required=False)
@click.option("--gpu", "gpus", type=int, multiple=True, help="A GPU that it holds, again for more.  [default: none]")
@click.option("--mig", "mig_uuid", metavar="UUID", help="The MIG device that it holds.")
@click.option("--memory", "memory_mib", type=click.IntRange(min=0), default=0, metavar="MIB", show_default=True)
@click.option("--kind", type=click.Choice(KINDS), default="monitor", show_default=True)
@click.option("--command", help="The command line that its process shows.")
@click.option("--restart", is_flag=True, help="It comes back when its process ends (Restart=always).")
@click.option("--ignores-term", is_flag=True, help="Its process does not end on SIGTERM.")
@click.option("--enabled", is_flag=True, help="It starts at every boot.")
@click.option("--fails", type=click.Choice([*services.FAILS, "nothing"]), help="What systemctl cannot do with it.")
def service(folder: Path, as_json: bool, name: str | None, fails: str | None, **options: Any) -> None:
    """Declare systemd service NAME, whose process holds GPUs while it runs, and start it; without NAME: list them.

    A service that exists already is only changed by --fails. The node's own `systemctl` starts and stops it.
    """
    node = _open(folder)
    if name is not None and fails is None and services.exists(node.directory, name):
        raise SimError(
            f"{node.directory} has a service {name} already",
            next=f"start it with {shlex.quote(str(node.directory / 'bin' / 'systemctl'))} start, or use another name",
        )
    if name is None:
        found = [{"unit": each.unit, "active": each.active, "pid": each.pid} for each in node.services()]
        click.echo(json.dumps(found, indent=1) if as_json else "\n".join(_service_line(each) for each in found))
    elif fails is None:
        click.echo(node.service(name, **options).pid)
    else:
        services.find(node.directory, name).fail(None if fails == "nothing" else fails)


def _service_line(service: dict[str, Any]) -> str:
    return f"{service['unit']}: " + (f"active, process {service['pid']}" if service["active"] else "not active")


@sim.command("fault")
@_node
@click.argument("gpu", required=False)
@click.option("--call", help="The NVML function; without it: every one that is about the GPU.")
@click.option("--error", help="The error it returns: a code, or a name such as IN_USE.")
@click.option("--times", type=click.IntRange(1), help="How often.  [default: until cleared]")
@click.option("--hang", "hang_s", type=click.FloatRange(0), metavar="SECONDS", help="The call hangs first.")
@click.option("--skip", type=click.IntRange(0), default=0, help="How many such calls pass before.")
@click.option("--late", is_flag=True, help="The call does its work before it goes wrong.")
@click.option("--kill", is_flag=True, help="The process that makes the call is killed.")
@click.option("--lost/--found", default=None, help="The GPU fell off the bus.")
@click.option("--hypervisor/--bare-metal", default=None, help="A hypervisor forbids resets.")
@click.option("--requires-reset/--no-requires-reset", default=None, help="The GPU answers nothing until reset.")
@click.option("--remap-pending/--no-remap-pending", default=None, help="Rows of its memory wait for a reset.")
@click.option("--driver", type=click.Choice(CONDITIONS), help="What has become of the driver itself.")
@click.option("--clear", is_flag=True, help="First undo every fault.")
def fault(
    folder: Path,
    gpu: str | None,
    driver: str | None,
    clear: bool,
    skip: int,
    late: bool,
    kill: bool,
    **options: Any,
) -> None:
    """Make something go wrong on GPU (index or UUID; without it: on any)."""
    node = _open(folder)
    wrong = kill or any(value is not None for value in options.values())
    if not (wrong or clear or driver):
        raise click.UsageError("Say what goes wrong: --error, --hang, --lost, --hypervisor, ... or --clear.")
    node.fault(gpu, skip=skip, late=late, kill=kill, clear=clear, **options)
    if driver:
        node.set_driver(driver)


@sim.command("reboot")
@_node
def reboot(folder: Path) -> None:
    """Restart the machine: processes and instances go, Ampere keeps its MIG mode, and so does a node's address."""
    from .nodes import node_at  # needs more than the driver does

    node = node_at(folder)
    (node or _open(folder)).reboot()


@sim.command("counters")
@_node
@_json
@click.option("--reset", is_flag=True, help="Set them, and the log of writes, back to nothing.")
def counters(folder: Path, as_json: bool, reset: bool) -> None:
    """How often each NVML function was called."""
    node = _open(folder)
    if reset:
        node.reset_counters()
        return
    found = node.counters()
    if as_json:
        click.echo(json.dumps({"calls": found, "writes": node.write_count()}, indent=1))
        return
    for name, count in sorted(found.items()):
        click.echo(f"{count:8}  {name}")
    click.echo(f"{node.write_count():8}  writes")


@sim.command("writes")
@_node
@_json
def writes(folder: Path, as_json: bool) -> None:
    """Every call that changed the machine, or tried to."""
    found = _open(folder).writes()
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for write in found:
        arguments = " ".join(f"{key}={value}" for key, value in write["args"].items())
        click.echo(f"GPU {write['gpu']}  {write['call']}  {arguments}  -> {write['result']}")


@sim.command("latency")
@_node
@click.argument("microseconds", type=click.IntRange(min=0))
@click.option("--call", help="The NVML function; without it: every one.")
def latency(folder: Path, microseconds: int, call: str | None) -> None:
    """Let a call take MICROSECONDS."""
    _open(folder).latency(call, microseconds)


@sim.command("products")
@_json
def products(as_json: bool) -> None:
    """The GPUs that can be simulated, and why others cannot."""
    names, refused = table.product_names(), table.refused()
    aliases = {alias: key for alias, key in table.ALIASES.items() if key in names}
    if as_json:
        click.echo(json.dumps({"products": names, "aliases": aliases, "refused": refused}, indent=1))
        return
    for name in names:
        short = ", ".join(alias for alias, key in aliases.items() if key == name)
        click.echo(f"{name}  ({short})" if short else name)
    for name, unknown in refused.items():
        click.echo(f"{name}  cannot be simulated; unknown: {', '.join(unknown)}")


def _open(folder: Path) -> SimNode:
    """The node in a folder, or in the `driver` folder of a node that `up` started."""
    inner = folder / "driver"
    return SimNode.open(inner if (inner / "state").exists() else folder)
