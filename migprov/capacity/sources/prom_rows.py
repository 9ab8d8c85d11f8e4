"""The rows of some cards: what is asked of the server for them, and what its answers say.

One card or instance may have been measured by several exporters, and under other labels from day to day; it has one
row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from ...errors import SourceError
from ..products import all_products
from ..usage import Labels, Usage, product_of
from . import prom_labels, promql
from .prom_labels import host_of, workload_of
from .prometheus_http import Client
from .promql import DEVICE, Window

_Key = tuple[str, ...]
_Values = dict[_Key, float]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Ask:
    """What all queries of an audit share. `work` are the labels that workloads are told apart by; may be empty."""

    client: Client
    window: Window
    end: float
    names: frozenset[str]
    also: str
    host_label: str | None
    work: tuple[str, ...]
    exported: bool

    def values(self, query: str, by: Sequence[str]) -> _Values:
        """The elements of a query by the values of these labels; what is no number is left out."""
        found = self.client.vector(query, self.end)
        return {tuple(m.get(name, "") for name in by): value for m, value in found if math.isfinite(value)}


def rows(ask: Ask, cards: Sequence[str], pool: ThreadPoolExecutor) -> list[Usage]:
    """The rows of the cards with these UUIDs, of their instances and of the workloads on them.

    Raises:
        SourceError: the server does not answer as it should; TooMuch: it might for fewer cards.
    """
    return _Cards(ask, promql.selector(cards, ask.also), pool).usages()


@dataclass(frozen=True)
class _Figures:
    """The answers of the server for one way to group the series: by device, or by device and workload."""

    peak: _Values
    p95: _Values
    samples: _Values
    buckets: _Values
    sm_peak: _Values
    sm_p95: _Values
    engine_peak: _Values
    engine_p95: _Values
    busy_peak: _Values
    busy_p95: _Values


class _Cards:
    """The rows of some cards, from two dozen queries that are asked a few at a time."""

    def __init__(self, ask: Ask, select: str, pool: ThreadPoolExecutor) -> None:
        self._ask = ask
        self._select = select
        self._pool = pool

    def usages(self) -> list[Usage]:
        ask, select, window = self._ask, self._select, self._ask.window
        who = (*DEVICE, *dict.fromkeys((*prom_labels.HOSTS, "instance", "gpu", "modelName", *_own(ask.host_label))))
        whose = (*DEVICE, *ask.work)
        seen = self._gathered(
            {
                "last": (promql.last(select, window, who), who),
                "first": (promql.first(select, window, DEVICE), DEVICE),
                **{name: (query, DEVICE) for name, query in self._totals().items()},
            }
        )
        figures = self._figures(DEVICE)
        known = _latest(seen["last"], who)
        own = {
            key: self._row(labels, seen["first"].get(key), when, figures, _total(seen, key))
            for key, (labels, when) in known.items()
        }
        own = _without_parents(own)
        rows = list(own.values())
        if ask.work:
            last = self._gathered(
                {
                    "last": (promql.last(select, window, whose), whose),
                    "first": (promql.first(select, window, whose), whose),
                }
            )
            rows += self._workloads(own, whose, self._figures(whose), last["last"], last["first"])
        return rows

    def _totals(self) -> dict[str, str]:
        """The ways to know a size, the surest first, of those that this fleet has."""
        ways = {
            "total": (promql.TOTAL,),
            "sum": (promql.MEMORY, promql.FREE, promql.RESERVED),
            "old sum": (promql.MEMORY, promql.FREE),
        }
        there = {name: metrics for name, metrics in ways.items() if set(metrics) <= self._ask.names}
        return {name: promql.total(metrics, self._select, self._ask.window) for name, metrics in there.items()}

    def _figures(self, by: Sequence[str]) -> _Figures:
        select, window = self._select, self._ask.window
        queries = {
            "peak": promql.peak(promql.MEMORY, select, window, by),
            "p95": promql.p95(promql.MEMORY, select, window, by),
            "samples": promql.samples(select, window, by),
            "buckets": promql.buckets(select, window, by),
        }
        for name, metric in (("sm", promql.SM), ("engine", promql.ENGINE), ("busy", promql.BUSY)):
            if metric in self._ask.names:
                queries[f"{name}_peak"] = promql.peak(metric, select, window, by)
                queries[f"{name}_p95"] = promql.p95(metric, select, window, by)
        answers = self._gathered({name: (query, by) for name, query in queries.items()})
        return _Figures(**{name: answers.get(name, {}) for name in _Figures.__dataclass_fields__})

    def _gathered(self, queries: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, _Values]:
        under_way = {name: self._pool.submit(self._ask.values, *query) for name, query in queries.items()}
        return _results({name: future.result for name, future in under_way.items()})

    def _row(
        self, labels: Mapping[str, str], first: float | None, last: float, figures: _Figures, total: float | None
    ) -> Usage:
        product = product_of(labels["modelName"])
        offers = all_products().get(product.key if product else "")
        profile = labels["GPU_I_PROFILE"] or None
        instance = labels["GPU_I_ID"] != ""
        size = None if total is None else round(total)
        if offers is not None and size is None:
            known = offers.find(profile or "") if instance else offers.whole
            size = known.memory_mib if known else None
        card = (offers.whole.memory_mib if offers else None) if instance else size
        blank = Usage(
            host=host_of(labels, self._ask.host_label),
            gpu=int(labels["gpu"]) if labels["gpu"].isdigit() else None,
            uuid=labels["UUID"],
            model=labels["modelName"] or None,
            product=product.key if product else None,
            gi_id=int(labels["GPU_I_ID"]) if labels["GPU_I_ID"].isdigit() else None,
            profile=profile,
            start=None,
            memory_total_mib=size,
            card_memory_mib=card,
            workload=None,
            samples=0,
            window_s=self._ask.window.seconds,
            covered=0.0,
            memory_peak_mib=None,
            memory_p95_mib=None,
        )
        return self._filled(blank, tuple(labels[name] for name in DEVICE), figures, first, last)

    def _filled(self, blank: Usage, key: _Key, figures: _Figures, first: float | None, last: float) -> Usage:
        ask = self._ask
        busy = figures.busy_peak.get(key), figures.busy_p95.get(key)
        engine = figures.engine_peak.get(key), figures.engine_p95.get(key)
        # Under MIG the driver has no utilisation; the share of time with work on the graphics engine is the same.
        util = tuple(None if each is None else each / 100 for each in busy) if busy[0] is not None else engine
        return replace(
            blank,
            samples=round(figures.samples.get(key, 0)),
            covered=min(figures.buckets.get(key, 0) * ask.window.bucket_s / ask.window.seconds, 1.0),
            memory_peak_mib=_whole(figures.peak.get(key)),
            memory_p95_mib=_whole(figures.p95.get(key)),
            sm_peak=_share(figures.sm_peak.get(key)),
            sm_p95=_share(figures.sm_p95.get(key)),
            util_peak=_share(util[0]),
            util_p95=_share(util[1]),
            first_seen=first,
            last_seen=last,
            current=last >= ask.end - 2 * ask.window.bucket_s,
        )

    def _workloads(
        self, own: Mapping[_Key, Usage], by: Sequence[str], figures: _Figures, last: _Values, first: _Values
    ) -> list[Usage]:
        rows: dict[tuple[_Key, Labels], Usage] = {}
        for key, when in last.items():
            device = own.get(key[: len(DEVICE)])
            labels = workload_of(dict(zip(by, key, strict=True)), self._ask.exported)
            if device is None or labels is None:
                continue
            row = self._filled(replace(device, workload=labels), key, figures, first.get(key), when)
            at = key[: len(DEVICE)], labels
            rows[at] = _together(rows[at], row) if at in rows else row
        return list(rows.values())


def _results(under_way: Mapping[str, Callable[[], _T]]) -> dict[str, _T]:
    """Every answer, or the first error once all have ended: no query is left running behind it."""
    found: dict[str, _T] = {}
    failed: SourceError | None = None
    for name, result in under_way.items():
        try:
            found[name] = result()
        except SourceError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return found


def _own(label: str | None) -> tuple[str, ...]:
    return (label,) if label else ()


def _latest(last: _Values, who: Sequence[str]) -> dict[_Key, tuple[dict[str, str], float]]:
    """The labels that a device had last, and when: its exporter's pod may have been another before.

    Two exporters may tell of one device at one moment; a server gives its answers in no order.
    """
    found: dict[_Key, tuple[dict[str, str], float]] = {}
    for key, when in sorted(last.items(), key=lambda item: (item[1], item[0])):
        found[key[: len(DEVICE)]] = dict(zip(who, key, strict=True)), when
    return found


def _total(seen: Mapping[str, _Values], key: _Key) -> float | None:
    return next((seen[way][key] for way in ("total", "sum", "old sum") if key in seen.get(way, {})), None)


def _without_parents(rows: Mapping[_Key, Usage]) -> dict[_Key, Usage]:
    """Without the rows of cards whose instances are measured at the same time: that would count all of it twice."""
    cut = {row.uuid for row in rows.values() if not row.whole and row.current}
    return {key: row for key, row in rows.items() if not (row.whole and row.current and row.uuid in cut)}


def _together(one: Usage, other: Usage) -> Usage:
    """Two series of one workload on one device, as one. The percentile is then an upper bound."""
    return replace(
        one,
        samples=one.samples + other.samples,
        covered=min(one.covered + other.covered, 1.0),
        memory_peak_mib=_most(one.memory_peak_mib, other.memory_peak_mib),
        memory_p95_mib=_most(one.memory_p95_mib, other.memory_p95_mib),
        sm_peak=_most(one.sm_peak, other.sm_peak),
        sm_p95=_most(one.sm_p95, other.sm_p95),
        util_peak=_most(one.util_peak, other.util_peak),
        util_p95=_most(one.util_p95, other.util_p95),
        first_seen=min((t for t in (one.first_seen, other.first_seen) if t is not None), default=None),
        last_seen=_most(one.last_seen, other.last_seen),
        current=one.current or other.current,
    )


_N = TypeVar("_N", int, float)


def _most(one: _N | None, other: _N | None) -> _N | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _whole(value: float | None) -> int | None:
    return None if value is None else math.ceil(round(value, 3))


def _share(value: float | None) -> float | None:
    return None if value is None else min(max(value, 0.0), 1.0)
