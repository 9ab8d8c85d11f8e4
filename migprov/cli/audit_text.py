"""An audit in words, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from ..capacity.audit import KINDS, Audit, Finding
from ..capacity.verdict import gib

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 50
"""Lines of the table unless all are asked for."""
_STYLES = {"idle": "red", "hollow": "yellow", "unknown": "dim", "full": "green"}
_WORKLOADS = 3


def told(audit: Audit, *, each: bool) -> Iterator[RenderableType]:
    """The worst cards and instances, or all, and the totals."""
    if not audit.findings:
        yield Text("No GPU was seen.")
        return
    shown = audit.findings if each else audit.findings[:SHOWN]
    if shown:
        yield _table(shown)
    left = audit.findings[len(shown) :]
    if left:
        counts = ", ".join(f"{n} {kind}" for kind in KINDS if (n := sum(f.verdict.kind == kind for f in left)))
        yield Text(f"and {len(left)} more ({counts}); --each shows them")
    yield from _totals(audit)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(header_style="dim", box=box.SIMPLE_HEAD)
    table.add_column("GPU", overflow="fold")
    table.add_column("Product", overflow="fold")
    table.add_column("Peak", justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Why", overflow="fold", ratio=2)
    table.add_column("Workloads", overflow="fold", ratio=1)
    for finding in findings:
        table.add_row(*_row(finding))
    return table


def _row(finding: Finding) -> tuple[Text, ...]:
    own, verdict = finding.usage, finding.verdict
    size = "?" if own.memory_total_mib is None else gib(own.memory_total_mib)
    peak = "?" if own.memory_peak_mib is None else gib(own.memory_peak_mib)
    return (
        Text(own.name),
        Text(own.product or own.model or "unknown"),
        Text(f"{peak} of {size}"),
        Text(verdict.kind, style=_STYLES[verdict.kind]),
        Text("; ".join(verdict.reasons)),
        Text("\n".join(_workloads(finding))),
    )


def _workloads(finding: Finding) -> Iterator[str]:
    now = [each for each in finding.workloads if each.current]
    for each in now[:_WORKLOADS]:
        own = each.memory_of == "workload" and each.memory_peak_mib is not None
        yield f"{each.workload}" + (f" {gib(each.memory_peak_mib or 0)}" if own else "")
    if len(now) > _WORKLOADS:
        yield f"and {len(now) - _WORKLOADS} more"
    if ended := len(finding.workloads) - len(now):
        yield f"{ended} that ended"


def _totals(audit: Audit) -> Iterator[Text]:
    totals = audit.totals
    kinds = ", ".join(f"{totals.counts[kind]} {kind}" for kind in KINDS)
    yield Text(f"{len(audit.findings)} cards and instances: {kinds}", style="bold")
    if totals.share is not None:
        cards = totals.cards - totals.left_out
        yield Text(
            f"{cards} card{'' if cards == 1 else 's'}: {gib(totals.peak_mib)} of {gib(totals.memory_mib)} used at "
            f"peak, {totals.share:.0%}",
            style="bold",
        )
    if totals.left_out:
        yield Text(f"{totals.left_out} not in that sum: their size or use is not known")
