"""The audit: a verdict on every card and instance, worst first, and what it amounts to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .usage import Device, Usage
from .verdict import Kind, Thresholds, Verdict, cannot_be, judge

KINDS: tuple[Kind, ...] = ("idle", "hollow", "unknown", "full")
"""Worst first."""


@dataclass(frozen=True)
class Finding:
    """One card or instance: the verdict on it, and the rows of the workloads that were seen there, largest first."""

    verdict: Verdict
    workloads: tuple[Usage, ...]

    @property
    def usage(self) -> Usage:
        """The card's or instance's own row."""
        return self.verdict.usage

    def to_json(self) -> dict[str, Any]:
        """The object of `--json`."""
        own = self.usage
        return {
            "host": own.host,
            "gpu": own.gpu,
            "uuid": own.uuid,
            "gi_id": own.gi_id,
            "profile": own.profile,
            "start": own.start,
            "verdict": self.verdict.kind,
            "reasons": list(self.verdict.reasons),
            "fits": self.verdict.fits,
            "needed_mib": self.verdict.needed_mib,
            "unused_mib": self.verdict.unused_mib,
            "usage": own.to_json(),
            "workloads": [each.to_json() for each in self.workloads],
        }


@dataclass(frozen=True)
class Totals:
    """What all cards amount to; memory in MiB.

    `memory_mib` is that of the cards whose size and peak are known, whole, whatever they are cut into; `peak_mib` the
    sum of what each used at its own peak, so the fleet never used more. `left_out` cards are in neither sum. `counts`
    are cards and instances by verdict.
    """

    cards: int
    left_out: int
    memory_mib: int
    peak_mib: int
    counts: Mapping[Kind, int]

    @property
    def share(self) -> float | None:
        """Used at peak of what there is, 0 to 1; None where nothing is known."""
        return self.peak_mib / self.memory_mib if self.memory_mib else None


@dataclass(frozen=True)
class Audit:
    """All findings, worst first, and the totals."""

    findings: tuple[Finding, ...]
    totals: Totals


def audit(usages: Iterable[Usage], thresholds: Thresholds | None = None) -> Audit:
    """Judge every card and instance that has a row of its own."""
    rows = list(usages)
    by = thresholds or Thresholds()
    workloads: dict[tuple[Device, str | None], list[Usage]] = {}
    for row in rows:
        if row.workload is not None:
            workloads.setdefault((row.device, row.profile), []).append(row)
    findings = [
        Finding(judge(row, by), tuple(sorted(workloads.get((row.device, row.profile), ()), key=_largest)))
        for row in rows
        if row.workload is None
    ]
    return Audit(tuple(sorted(findings, key=_worst)), _totals(findings))


def _largest(usage: Usage) -> tuple[int, str]:
    return -(usage.memory_peak_mib or 0), str(usage.workload)


def _worst(finding: Finding) -> tuple[Any, ...]:
    own = finding.usage
    card = own.host, -1 if own.gpu is None else own.gpu, own.uuid
    inside = [-1 if each is None else each for each in (own.start, own.gi_id)]
    return KINDS.index(finding.verdict.kind), -(finding.verdict.unused_mib or 0), *card, *inside, own.profile or ""


def _totals(findings: Sequence[Finding]) -> Totals:
    by_card: dict[Device, list[Usage]] = {}
    for finding in findings:
        by_card.setdefault(finding.usage.card, []).append(finding.usage)
    known = {card: sizes for card, rows in by_card.items() if (sizes := _card(rows)) is not None}
    counts = {kind: sum(finding.verdict.kind == kind for finding in findings) for kind in KINDS}
    return Totals(
        cards=len(by_card),
        left_out=len(by_card) - len(known),
        memory_mib=sum(memory for memory, _ in known.values()),
        peak_mib=sum(peak for _, peak in known.values()),
        counts=counts,
    )


def _card(rows: Sequence[Usage]) -> tuple[int, int] | None:
    """Memory and peak of one card. Of one that was cut anew in the window, what it is now counts."""
    rows = [row for row in rows if row.current] or rows
    sizes = [row.card_memory_mib for row in rows if row.card_memory_mib is not None]
    peaks = [row.memory_peak_mib for row in rows]
    if not sizes or any(peak is None for peak in peaks) or any(map(cannot_be, rows)):
        return None
    whole = max((row.memory_peak_mib or 0 for row in rows if row.whole), default=0)
    cut = sum(row.memory_peak_mib or 0 for row in rows if not row.whole)
    return max(sizes), min(max(whole, cut), max(sizes))
