"""`migprov audit`."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from ..result import Result
from . import ctrl_c, exits, out_files, output
from .audit_source import prometheus_options, server
from .numbers import Number
from .where import Where, chosen, where_options

if TYPE_CHECKING:
    from ..capacity.audit import Audit
    from ..capacity.usage import Usage
    from ..capacity.verdict import Thresholds

_WHERE = ("inventory", "limit", "forks", "local", "call_timeout", "node_timeout")
_ACCESS = ("token_file", "user", "password_file", "ca", "client_cert", "client_key")
_SERIES = ("window", "match", "host_label")
_WINDOW_S = 14 * 86400
_SHORT_S = 86400
_PERCENT = Number(0, 100)


@click.command("audit", short_help="who is hollow: what each GPU is used for, and what would do")
@where_options
@prometheus_options
@click.option("--csv", "table", type=click.Path(), help="Measurements in a file.")
@click.option("--for", "for_s", type=Number(min=1), metavar="S", help="Sample nodes for S seconds.  [default: 60]")
@click.option("--every", "every_s", type=Number(min=0.5), metavar="S", help="... every S seconds.  [default: 5]")
@click.option("--headroom", type=Number(0, 1000), default=20.0, show_default=True, metavar="%", help="Memory to add.")
@click.option(
    "--by", type=click.Choice(["peak", "p95"]), default="peak", show_default=True, help="Which memory has to fit."
)
@click.option(
    "--idle-memory", type=click.IntRange(min=0), default=128, show_default=True, metavar="MiB", help="In use, yet idle."
)
@click.option(
    "--idle-activity", type=_PERCENT, default=2.0, show_default=True, metavar="%", help="SMs or time busy, yet idle."
)
@click.option(
    "--min-samples", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="With fewer: unknown."
)
@click.option(
    "--min-covered", type=_PERCENT, default=50.0, show_default=True, metavar="%", help="Less of the window: unknown."
)
@click.option("--workloads", type=click.Path(dir_okay=False), metavar="FILE", help="Write what was seen, to plan with.")
@click.option("--force", is_flag=True, help="Overwrite the workloads file.")
@click.option("--each", is_flag=True, help="All cards and instances, not only the 50 worst.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a card or instance, one a line.")
def command(
    prometheus: str | None,
    table: str | None,
    workloads: str | None,
    force: bool,
    each: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the GPUs that are paid for and not used: a verdict on every card and instance, with its reasons.

    Measures on the nodes themselves (-i or --local), or reads what Prometheus or a file has. Never changes anything.
    """
    from ..capacity.audit import audit
    from ..capacity.workloads_from import file_text

    if workloads is not None:  # before hours of measuring
        out_files.check([workloads], force=force)
    usages, results = _measured(prometheus, table, options)
    found = audit(usages, _thresholds(options))
    for result in results:
        if result.failed and not as_json:
            exits.tell_node(result)
    _show(found, results, as_json=as_json, each=each)
    if workloads is not None:
        out_files.write(workloads, file_text(usages))
    raise click.exceptions.Exit(exits.of_results(results))


def _measured(prometheus: str | None, table: str | None, options: dict[str, Any]) -> tuple[list[Usage], list[Result]]:
    """The measurements, and how each node fared where nodes were asked.

    Raises:
        click.UsageError: not exactly one source, or an option that goes with another one.
    """
    live = bool(options["inventory"]) or options["local"]
    if [live, prometheus is not None, table is not None].count(True) != 1:
        raise click.UsageError("Say where to measure: one of -i INVENTORY, --local, --prometheus URL and --csv FILE.")
    if prometheus is None:
        _refuse(options, (*_ACCESS, *_SERIES), "--prometheus")
    if not live:
        _refuse(options, ("for_s", "every_s", "forks", "call_timeout", "node_timeout"), "-i or --local")
    if table is not None:
        _refuse(options, ("limit",), "-i or --prometheus")
        from ..capacity.sources import table as source

        return source.read(table), []
    return (_asked(prometheus, options), []) if prometheus is not None else _sampled(options)


def _refuse(options: dict[str, Any], names: tuple[str, ...], goes_with: str) -> None:
    for name in names:
        if options[name] is not None:
            raise click.UsageError(f"--{name.removesuffix('_s').replace('_', '-')} goes with {goes_with}.")


def _thresholds(options: dict[str, Any]) -> Thresholds:
    from ..capacity.verdict import Thresholds

    return Thresholds(
        headroom=options["headroom"] / 100,
        memory=options["by"],
        idle_memory_mib=options["idle_memory"],
        idle_activity=options["idle_activity"] / 100,
        min_samples=options["min_samples"],
        min_covered=options["min_covered"] / 100,
    )


def _asked(prometheus: str, options: dict[str, Any]) -> list[Usage]:
    from ..capacity.sources import prometheus as source

    found = source.read(
        server(prometheus, query_timeout=options["query_timeout"], **{name: options[name] for name in _ACCESS}),
        options["window"] or _WINDOW_S,
        match=options["match"] or "",
        hosts=options["limit"],
        host_label=options["host_label"],
    )
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    return found.usages


def _sampled(options: dict[str, Any]) -> tuple[list[Usage], list[Result]]:
    from ..capacity.sources import live
    from ..capacity.verdict import span

    where: Where = chosen(**{name: options[name] for name in _WHERE})
    for_s = live.FOR_S if options["for_s"] is None else options["for_s"]
    every_s = live.EVERY_S if options["every_s"] is None else options["every_s"]
    targets = where.targets()
    if sys.stderr.isatty():
        nodes = f"{len(targets)} node{'' if len(targets) == 1 else 's'}"
        click.echo(f"Sampling {nodes} every {every_s:g} s for {span(for_s)} ...", err=True)
    stop = threading.Event()
    with _on_ctrl_c(stop):
        sampled = live.sample(
            targets, for_s=for_s, every_s=every_s, forks=options["forks"], node_s=where.node_timeout, stop=stop
        )
    if for_s < _SHORT_S:
        click.echo(f"Note: measured for {span(for_s)}: a peak at another time was not seen.", err=True)
    return sampled.usages, list(sampled.results.values())


def _on_ctrl_c(stop: threading.Event) -> contextlib.AbstractContextManager[None]:
    """The first Ctrl-C ends the sampling, and what was seen by then is told; the second leaves at once."""

    def first() -> None:
        stop.set()
        click.echo("\nNo further samples. Press Ctrl-C again not to wait for those under way.", err=True)

    return ctrl_c.twice(stop.is_set, first)


def _show(found: Audit, results: list[Result], *, as_json: bool, each: bool) -> None:
    if as_json:
        output.print_objects(
            [
                *(finding.to_json() for finding in found.findings),
                *({"host": result.host, "error": result.error} for result in results if result.failed),
            ]
        )
        return
    from .audit_text import told  # rich is for people only

    output.show(told(found, each=each))
