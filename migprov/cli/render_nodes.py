"""The commands of `migprov render` that read nodes: labels, mps, slurm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..result import Result
from . import exits
from .render_out import give, output_options
from .where import chosen, where_options
from .work import work

if TYPE_CHECKING:
    from ..fleet.slurm.devices import Gres

_OUT = ("out", "force", "diff")


@click.command("labels", short_help="the labels of nodes, without Node Feature Discovery")
@where_options
@click.option("--strategy", type=click.Choice(("none", "single", "mixed")), default="mixed", show_default=True)
@click.option("--plan", metavar="PLAN.json", help="Also the layout that the MIG manager is to make of each node.")
@output_options
def labels(strategy: str, plan: str | None, **options: Any) -> None:
    """The labels that the GPU Operator and pods choose nodes by, from what the nodes have. Never changes anything."""
    from ..render import labels as render
    from ..render import plan_file

    of_host: Mapping[str, str] = {} if plan is None else plan_file.load(plan).of_host
    out = _split(options)
    found, code = _states(options)
    if code == exits.DONE:
        made = {host: render.of_node(state["gpus"], strategy, of_host.get(host)) for host, (state, _) in found.items()}
        give([render.file(made)], **out)
    raise click.exceptions.Exit(code)


@click.command("mps", short_help="systemd units for MPS on hosts, one a GPU or MIG device")
@click.argument("devices", nargs=-1, required=True, metavar="UUID...")
@click.option("--user", metavar="NAME", help="Whose processes share; without it the daemon runs as root.")
@click.option("--threads", "threads_percent", type=click.IntRange(1, 100), metavar="PERCENT", help="SMs for a client.")
@click.option("--memory", metavar="AMOUNT", help="Memory of the device for a client, such as 9.6 GiB.")
@click.option("--program", metavar="PATH", help="Where nvidia-cuda-mps-control is.")
@output_options
def mps(devices: tuple[str, ...], memory: str | None, program: str | None, **options: Any) -> None:
    """A unit for MPS control daemons and the environment of each: GPUs and MIG devices by their UUIDs."""
    from ..capacity import units
    from ..render import mps as render

    out = _split(options)
    limit = None if memory is None else units.memory_mib(memory)
    if memory is not None and limit is None:
        raise click.UsageError(f"{memory!r} is no amount of memory: write 9.6 GiB or 9830 MiB.")
    named = render.Options(memory_mib=limit, program=program or render.PROGRAM, **options)
    give(render.files(devices, named), **out)


@click.command("slurm", short_help="gres.conf and slurm.conf lines for nodes as they are")
@where_options
@click.option("--autodetect", is_flag=True, help="slurmd finds the devices itself (AutoDetect=nvml).")
@click.option("--type", "type_", default="", metavar="NAME", help="What the cards are called.  [the product]")
@click.option("--conf", metavar="FILE", help="The slurm.conf there is: its lines are edited, all else stays.")
@click.option("--gres-conf", metavar="FILE", help="The gres.conf there is, likewise.")
@output_options
def slurm(autodetect: bool, type_: str, conf: str | None, gres_conf: str | None, **options: Any) -> None:
    """gres.conf and the `Gres=` of each node's line in slurm.conf, from what the nodes have. Never changes anything."""
    from ..render import gres
    from ..render import slurm as render

    texts = [None if path is None else _read(path) for path in (conf, gres_conf)]
    out = _split(options)
    found, code = _states(options)
    if code == exits.DONE:
        nodes: dict[str, Gres] = {}
        for host, (state, data) in found.items():
            nodes[host] = (
                gres.autodetect(state["gpus"], type=type_, profiles=data.get("profiles"))
                if autodetect
                else gres.explicit(state["gpus"], type=type_)
            )
        give(render.files(nodes, *texts), **out)
    raise click.exceptions.Exit(code)


def _read(path: str) -> str:
    from ..errors import BadRequest

    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BadRequest(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _split(options: dict[str, Any]) -> dict[str, Any]:
    """Takes what `give` wants out of the options."""
    return {key: options.pop(key) for key in _OUT}


def _states(where: dict[str, Any]) -> tuple[dict[str, tuple[dict[str, Any], dict[str, Any]]], int]:
    """State and data of each node. A node without an answer makes the code another than done: half is not rendered."""
    results: list[Result] = []
    params = {"processes": False, "profiles": True, "caps": True}
    code = work(chosen(**where), lambda node: node.task("info", params), results.extend, as_json=False, writes=False)
    for result in results:
        if result.failed:
            exits.tell_node(result)
    if code not in (exits.DONE, exits.INTERRUPTED):
        click.echo("Nothing is rendered: it would lack these nodes. Leave them out with --limit.", err=True)
    return {each.host: (dict(each.after or {}), dict(each.data)) for each in results if not each.failed}, code
