"""Measurements of dcgm-exporter, kept by a Prometheus server (or one that speaks its API).

The server does the arithmetic: a catalogue of the cards first, then a dozen or two of queries for some hundred
cards at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ...errors import SourceError
from ..usage import Usage
from . import prom_labels, prom_rows, promql
from .prom_labels import host_of
from .prom_rows import Ask
from .prometheus_http import AT_ONCE, Client, Server, TooMuch
from .promql import Window

DAY_S = 86400
_ALL = "|".join(("DCGM_FI_DEV_FB_.*", promql.SM, promql.ENGINE, promql.BUSY))
_ANY_MEMORY = "(?i).*(fb_used|memory_used|mem_used).*"


@dataclass(frozen=True)
class Found:
    """What was found, and what the reader should know of it besides."""

    usages: list[Usage]
    notes: list[str]


def read(
    server: Server,
    window_s: int = 14 * DAY_S,
    *,
    match: str = "",
    hosts: str | None = None,
    host_label: str | None = None,
) -> Found:
    """What every card and instance, and each workload on it, used in the last `window_s` seconds.

    `match`: further label matchers of PromQL (`cluster="a"`). `hosts`: only hosts of these names, patterns with `*`,
    separated by commas. `host_label`: the label that names the host where it is not the exporter's own.

    Raises:
        SourceError: the server answers, but not with what is needed; also where it has no such series.
        SourceUnreachable: it does not answer.
    """
    window = Window(window_s)
    with Client(server) as client:
        end = client.now()
        start = end - window_s
        series = client.series(f"{promql.MEMORY}{{{match}}}", start, end)
        if not series:
            raise _nothing(client, server, start, end, match)
        if not any(each.get("UUID") for each in series):
            raise SourceError(
                f"{server.url}: the series {promql.MEMORY} have no label UUID, by which cards are told apart.",
                next="leave that label of dcgm-exporter's in when series are relabelled",
            )
        names = frozenset(client.names(_ALL, start, end))
        work = tuple(name for name in prom_labels.WORKLOAD if any(each.get(name) for each in series))
        exported = prom_labels.are_exported(series)
        ask = Ask(client, window, end, names, match, host_label, work, exported)
        usages = sorted(_all(ask, _cards(series, hosts, host_label)), key=_place)
        notes = [f"Prometheus says: {text}" for text in client.warnings]
    if hosts is not None:
        usages = [usage for usage in usages if _wanted(usage.host, hosts)]
    if not usages:
        raise _none_left(server, series, hosts, host_label, window_s)
    nameless = sum(not each.get("UUID") for each in series)
    if nameless:
        notes.append(f"{nameless} of {len(series)} series of {promql.MEMORY} have no label UUID and are left out.")
    return Found(usages, [*notes, *_notes(usages, names)])


def _cards(series: Iterable[Mapping[str, str]], hosts: str | None, host_label: str | None) -> list[str]:
    """The UUIDs of the cards, of hosts that are wanted."""
    wanted = (each for each in series if hosts is None or _wanted(host_of(each, host_label), hosts))
    return sorted({each["UUID"] for each in wanted if each.get("UUID")})


def _wanted(host: str, hosts: str) -> bool:
    return any(fnmatchcase(host, pattern.strip()) for pattern in hosts.split(",") if pattern.strip())


def _place(usage: Usage) -> tuple[Any, ...]:
    """A server gives its answers in no order."""
    numbers = [-1 if each is None else each for each in (usage.gpu, usage.gi_id)]
    return usage.host, *numbers, usage.uuid, usage.profile or "", str(usage.workload or "")


def _all(ask: Ask, cards: Sequence[str]) -> list[Usage]:
    size = ask.window.devices_at_once
    found: list[Usage] = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="migprov-prometheus") as pool:
        for first in range(0, len(cards), size):
            found += _some(ask, cards[first : first + size], pool)
    return found


def _some(ask: Ask, cards: Sequence[str], pool: ThreadPoolExecutor) -> list[Usage]:
    """The rows of some cards; of fewer at a time where that is too much for the server."""
    try:
        return prom_rows.rows(ask, cards, pool)
    except TooMuch:
        if len(cards) == 1:
            raise
        half = len(cards) // 2
        return _some(ask, cards[:half], pool) + _some(ask, cards[half:], pool)


def _notes(usages: Sequence[Usage], names: frozenset[str]) -> list[str]:
    found = []
    if promql.SM not in names:
        found.append(
            f"there is no {promql.SM}: how many SMs are at work is not known. "
            "dcgm-exporter has it off by default; its list of fields switches it on."
        )
    unknown = sorted({usage.model or "no name" for usage in usages if usage.product is None})
    if unknown:
        found.append(f"not in the table of products: {', '.join(unknown[:5])}.")
    return found


def _nothing(client: Client, server: Server, start: float, end: float, match: str) -> SourceError:
    others = sorted(set(client.names(_ANY_MEMORY, start, end)) - {promql.MEMORY})
    gpu = [each for each in others if "fb" in each.lower() or "gpu" in each.lower() or "dcgm" in each.lower()]
    where = f" with {match}" if match else ""
    hint = f"similar names there: {', '.join(gpu[:3])}" if gpu else "see the server's page of targets"
    if promql.MEMORY in client.names(promql.MEMORY, start, end):
        hint = "there are some without these matchers; look at --match"
    return SourceError(
        f"{server.url}: no series {promql.MEMORY}{where} in the last {_days(end - start)}; "
        "dcgm-exporter is not scraped, or its series have another name.",
        next=hint,
    )


def _none_left(
    server: Server, series: Sequence[Mapping[str, str]], hosts: str | None, host_label: str | None, window_s: int
) -> SourceError:
    there = sorted({host_of(each, host_label) for each in series})
    if hosts is not None and not any(_wanted(host, hosts) for host in there):
        return SourceError(
            f"{server.url}: no host matches {hosts!r}; there are {', '.join(there[:5])}"
            + (f" and {len(there) - 5} more." if len(there) > 5 else "."),
            next="look at --limit, or name the label that has the host with --host-label",
        )
    return SourceError(
        f"{server.url}: the series {promql.MEMORY} have no sample in the last {_days(window_s)}.",
        next="see the server's page of targets: is dcgm-exporter still scraped?",
    )


def _days(seconds: float) -> str:
    from ..verdict import span

    return span(round(seconds))
