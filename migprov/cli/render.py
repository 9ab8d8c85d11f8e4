"""`migprov render`: its commands for Kubernetes; those that read nodes are in render_nodes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .render_nodes import labels, mps, slurm
from .render_out import give, output_options

if TYPE_CHECKING:
    from ..render.configmap import Layouts

_Command = TypeVar("_Command", bound=Callable[..., object])
_NAMESPACE = "gpu-operator"


@click.group("render", short_help="configuration for what hands out GPUs: Kubernetes, Slurm, MPS, dcgm-exporter")
def command() -> None:
    """Write what other systems read about layouts, plans and nodes. Changes no node and no cluster.

    Everything goes to standard output, or with -o into a file or folder; --diff shows what would change there.
    """


for _each in (labels, mps, slurm):
    command.add_command(_each)


def _namespace(default: str | None = _NAMESPACE) -> Callable[[_Command], _Command]:
    return click.option("--namespace", default=default, show_default=default is not None, help="Its namespace.")


@command.command("configmap", short_help="layouts for NVIDIA's MIG manager")
@click.argument("file", required=False, metavar="LAYOUTS.yml")
@click.argument("only", nargs=-1, metavar="[LAYOUT]...")
@click.option("--plan", metavar="PLAN.json", help="The layouts of a plan instead ('migprov plan --json').")
@click.option("--name", default="migprov-mig-config", show_default=True, help="The ConfigMap's name.")
@_namespace()
@output_options
def configmap(
    file: str | None, only: tuple[str, ...], plan: str | None, name: str, namespace: str, **where: Any
) -> None:
    """The layouts of LAYOUTS.yml (all, or those that are named) as the ConfigMap of the GPU Operator's MIG manager."""
    from ..render import configmap as render

    give([render.file(_layouts(file, only, plan), name, namespace)], **where)


def _layouts(file: str | None, only: tuple[str, ...], plan: str | None) -> Layouts:
    from ..layouts import load
    from ..render import configmap as render
    from ..render import plan_file

    if (file is None) == (plan is None):
        raise click.UsageError("Say what: either LAYOUTS.yml or --plan PLAN.json.")
    if plan is not None:
        return render.of_plan(plan_file.load(plan).configs)
    found = load(file or "")
    return {name: found.layout(name).to_json() for name in only or found.names}


@command.command("gpu-operator", short_help="values or a ClusterPolicy patch for NVIDIA's GPU Operator")
@click.option("--strategy", type=click.Choice(("mixed", "single")), default="mixed", show_default=True)
@click.option("--as", "form", type=click.Choice(("values", "patch")), default="values", show_default=True)
@click.option("--manager/--no-manager", help="NVIDIA's MIG manager makes the layouts, or migprov does.  [no]")
@click.option("--config", default="migprov-mig-config", show_default=True, help="The manager's ConfigMap.")
@click.option("--plugin-config", metavar="NAME", help="The device plugin's ConfigMap, for sharing.")
@click.option("--plugin-default", metavar="KEY", help="What of it counts for nodes without the label.")
@click.option("--dcgm-config", metavar="NAME", help="dcgm-exporter's ConfigMap.")
@click.option("--no-nfd", is_flag=True, help="Without Node Feature Discovery (see 'render labels'); values only.")
@output_options
def gpu_operator(form: str, no_nfd: bool, out: str | None, force: bool, diff: str | None, **named: Any) -> None:
    """Tell the GPU Operator the MIG strategy and who makes layouts."""
    from ..render import gpu_operator as render

    if no_nfd and form == "patch":
        raise click.UsageError("--no-nfd is a value of the chart, not of a ClusterPolicy.")
    options = render.Options(nfd=not no_nfd, **named)
    give([render.values(options) if form == "values" else render.patch(options)], out=out, force=force, diff=diff)


@command.command("pods", short_help="what pods ask for, by a plan")
@click.argument("workloads", metavar="WORKLOADS.yml")
@click.option("--plan", required=True, metavar="PLAN.json", help="What 'migprov plan --json' printed.")
@click.option("--strategy", type=click.Choice(("mixed", "single")), default="mixed", show_default=True)
@click.option("--as", "form", type=click.Choice(("resources", "patch", "deployment")), default="resources")
@click.option("--image", metavar="IMAGE", help="The image, for --as deployment.")
@click.option("--container", metavar="NAME", help="The container's name.  [default: the workload's]")
@click.option("--pin", is_flag=True, help="Only on the nodes that the plan names.")
@_namespace(None)
@output_options
def pods(workloads: str, plan: str, out: str | None, force: bool, diff: str | None, **named: Any) -> None:
    """The requests of WORKLOADS.yml as a plan places them: bare, as patches of Deployments, or as Deployments."""
    from ..capacity import workloads_file
    from ..render import plan_file
    from ..render import pods as render

    wanted = workloads_file.load(workloads).workloads
    made = render.file(wanted, plan_file.load(plan), render.Options(**named))
    give([made], out=out, force=force, diff=diff)


@command.command("device-plugin", short_help="sharing by time-slicing or MPS for NVIDIA's device plugin")
@click.option("--strategy", type=click.Choice(("none", "single", "mixed")), default="none", show_default=True)
@click.option("--time-slicing", multiple=True, metavar="RESOURCE=N", help="So often each: gpu=4, 3g.40gb=2.")
@click.option("--mps", multiple=True, metavar="RESOURCE=N", help="The same by MPS: gpu=4.")
@click.option("--rename", is_flag=True, help="Under the name with .shared behind it.")
@click.option("--several", is_flag=True, help="Let a container ask for more than one share (time-slicing only).")
@click.option("--configmap", "name", metavar="NAME", help="In a ConfigMap of that name, for the GPU Operator.")
@click.option("--key", default="config", show_default=True, help="Its name among configurations.")
@_namespace()
@output_options
def device_plugin(
    strategy: Any,
    time_slicing: tuple[str, ...],
    mps: tuple[str, ...],
    rename: bool,
    several: bool,
    name: str | None,
    key: str,
    namespace: str,
    **where: Any,
) -> None:
    """The configuration of the device plugin: MIG strategy, time-slicing, MPS."""
    from ..render import device_plugin as render

    if several and not time_slicing:
        raise click.UsageError("--several goes with --time-slicing; with MPS a container has one share.")
    if rename and not (time_slicing or mps):
        raise click.UsageError("--rename goes with --time-slicing or --mps.")
    sharing = render.Sharing(strategy, _counts(time_slicing), _counts(mps), rename, not several)
    made = render.file(sharing, key) if name is None else render.manifest(sharing, name, namespace, key)
    give([made], **where)


def _counts(given: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in given:
        resource, _, count = each.rpartition("=")
        if not resource or not (count.isascii() and count.isdecimal() and len(count) < 10):
            raise click.UsageError(f"{each!r} is not RESOURCE=N, such as gpu=4.")
        if resource in found:
            raise click.UsageError(f"{resource} is given twice.")
        found[resource] = int(count)
    return found


@command.command("dcgm-exporter", short_help="dcgm-exporter with MIG and the series that the audit reads")
@click.option("--for", "way", type=click.Choice(("operator", "chart", "container")), default="operator")
@click.option("--name", default="migprov-dcgm-metrics", show_default=True, help="The ConfigMap's name.")
@_namespace()
@output_options
def dcgm_exporter(way: Any, name: str, namespace: str, **where: Any) -> None:
    """What dcgm-exporter needs: the fields, and the variables and rights for MIG devices."""
    from ..render import dcgm

    give(dcgm.files(way, name, namespace), **where)
