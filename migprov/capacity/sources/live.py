"""Measuring by asking: a sample of every node every few seconds, over SSH through NVML, for a while.

What is between two samples is not seen, nor what was before and after: a window of a minute is no peak of a week.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...connect.node import Node
from ...connect.target import Target
from ...errors import BadRequest
from ...fleet.events import Event
from ...fleet.run import run
from ...result import Result
from ..products import all_products
from ..usage import Device, Labels, Usage

FOR_S = 60.0
EVERY_S = 5.0
AT_ONCE = 256
"""Nodes sampled at once: each costs a connection that is idle most of the time."""
_GRACE_S = 60.0  # for the connection, the program's first time, and a slow last sample


@dataclass(frozen=True)
class Sampled:
    """What was measured, and how each node fared. A node that failed on the way still has its samples so far."""

    usages: list[Usage]
    results: dict[str, Result]


def sample(
    targets: Iterable[Target],
    *,
    for_s: float = FOR_S,
    every_s: float = EVERY_S,
    forks: int | None = None,
    node_s: float | None = None,
    on_event: Callable[[Event], None] | None = None,
    stop: threading.Event | None = None,
) -> Sampled:
    """Ask every node every `every_s` seconds for `for_s` seconds, over one connection each. Never writes.

    `forks`: nodes at once (default: all of them up to 256); the next begin when those are through. `node_s`: seconds
    for a node beyond twice `for_s`. Once `stop` is set no further sample is taken.

    Raises:
        BadRequest: a time is not above 0, or `for_s` is shorter than `every_s`.
    """
    if every_s <= 0 or for_s < every_s:
        raise BadRequest(
            f"cannot sample every {every_s:g} s for {for_s:g} s: the first must be above 0 and not longer."
        )
    chosen = list(targets)
    stop = stop or threading.Event()
    seen = {target.name: _Host(target.name) for target in chosen}
    wanted = math.floor(round(for_s / every_s, 6)) + 1

    def task(node: Node) -> Result:
        return _watch(node, seen[node.name], wanted, for_s, every_s, stop)

    patience = max((target.timeout for target in chosen), default=0.0)
    results = run(
        chosen,
        task,
        forks=forks or max(1, min(len(chosen), AT_ONCE)),
        on_event=on_event,
        node_timeout_s=2 * for_s + (patience + _GRACE_S if node_s is None else node_s),
        raise_on_error=False,
    )
    return Sampled([usage for host in seen.values() for usage in host.usages(wanted, for_s)], results)


def _watch(node: Node, seen: _Host, wanted: int, for_s: float, every_s: float, stop: threading.Event) -> Result:
    """All samples of one node: later ones where it is slow, and fewer where it would take more than twice the time."""
    begun = time.monotonic()
    while True:
        last = time.monotonic()
        result = node.usage()
        seen.add(result, time.time())
        if seen.samples >= wanted or time.monotonic() - begun > 2 * for_s + _GRACE_S / 2:
            return result
        if stop.wait(max(last + every_s - time.monotonic(), 0)):
            return result


@dataclass
class _Row:
    """One row in the making. Figures are kept as value -> how often, which days of samples do not fill."""

    usage: Usage
    memory: Counter[int] = field(default_factory=Counter)
    busy: Counter[int] = field(default_factory=Counter)
    samples: int = 0
    first: float = 0.0
    last: float = 0.0
    memory_known: bool = True

    def add(self, when: float, memory_mib: int | None, busy_percent: int | None) -> None:
        self.first = self.first or when
        self.last = when
        self.samples += 1
        if memory_mib is None:
            self.memory_known = False
        else:
            self.memory[memory_mib] += 1
        if busy_percent is not None:
            self.busy[busy_percent] += 1


class _Host:
    """The samples of one host, folded as they come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[tuple[Device, str | None, Labels | None], _Row] = {}
        self.first = 0.0
        self.last = 0.0
        self.samples = 0

    def add(self, result: Result, when: float) -> None:
        self.first = self.first or when
        self.last = when
        self.samples += 1
        measured = {each["gpu"]: each for each in result.data.get("usage", ())}
        for gpu in (result.after or {}).get("gpus", ()):
            if gpu.get("error") or gpu["index"] not in measured:
                self._silent(gpu)
                continue
            one = measured[gpu["index"]]
            memory = {each["gi_id"]: each for each in one["instances"]}
            if not (gpu["mig_current"] and gpu["instances"]):
                self._card(gpu, one, when)
            for instance in gpu["instances"]:
                self._instance(gpu, instance, memory.get(instance["gi_id"], {}), when)

    def _silent(self, gpu: Mapping[str, Any]) -> None:
        """A card that does not answer has a row, without a sample, unless it answered before."""
        if not any(row.usage.gpu == gpu["index"] for row in self.rows.values()):
            self._row(self._blank(gpu, None, None, None, gpu.get("memory_mib")))

    def _card(self, gpu: Mapping[str, Any], measured: Mapping[str, Any], when: float) -> None:
        row = self._row(self._blank(gpu, None, None, None, gpu.get("memory_mib")))
        row.add(when, gpu.get("memory_used_mib"), measured["busy_percent"])
        self._workloads(row.usage, gpu.get("processes", ()), when)

    def _instance(
        self, gpu: Mapping[str, Any], instance: Mapping[str, Any], memory: Mapping[str, Any], when: float
    ) -> None:
        total, used = memory.get("memory_mib"), memory.get("memory_used_mib")
        if not instance["compute_instances"]:
            total, used = _size(gpu, instance["profile"]), 0  # there is no device that a program could open
        usage = self._blank(gpu, instance["gi_id"], instance["profile"], instance["start"], total)
        row = self._row(usage)
        row.add(when, used, None)
        own = [each for each in gpu.get("processes", ()) if each.get("gi_id") == instance["gi_id"]]
        self._workloads(row.usage, own, when)

    def _workloads(self, device: Usage, processes: Iterable[Mapping[str, Any]], when: float) -> None:
        """One row for all processes of the same labels: a server and its workers are one workload."""
        together: dict[Labels, list[int | None]] = {}
        for process in processes:
            if process.get("kind") != "open":  # it has the driver open and uses nothing
                together.setdefault(_labels(process), []).append(process.get("memory_mib"))
        for labels, sizes in together.items():
            known = [size for size in sizes if size is not None]
            row = self._row(_of_workload(device, labels))
            row.add(when, sum(known) if len(known) == len(sizes) else None, None)

    def _row(self, usage: Usage) -> _Row:
        key = (usage.device, usage.profile, usage.workload)
        row = self.rows.setdefault(key, _Row(usage))
        if row.usage.memory_total_mib is None and usage.memory_total_mib is not None:
            row.usage = usage  # of a card that did not answer at first the size was not known
        return row

    def _blank(
        self, gpu: Mapping[str, Any], gi_id: int | None, profile: str | None, start: int | None, total: int | None
    ) -> Usage:
        return Usage(
            host=self.name,
            gpu=gpu["index"],
            uuid=str(gpu.get("uuid") or ""),
            model=gpu.get("name"),
            product=gpu.get("product"),
            gi_id=gi_id,
            profile=profile,
            start=start,
            memory_total_mib=total,
            card_memory_mib=gpu.get("memory_mib"),
            workload=None,
            samples=0,
            window_s=0.0,
            covered=0.0,
            memory_peak_mib=None,
            memory_p95_mib=None,
        )

    def usages(self, wanted: int, window_s: float) -> list[Usage]:
        """The rows; `wanted` samples would have been all of the window, which is longer where the node was slow."""
        took = max(window_s, round(self.last - self.first, 1))
        answered = {row.usage.gpu for row in self.rows.values() if row.samples}
        told = (row for row in self.rows.values() if row.samples or row.usage.gpu not in answered)
        return [_filled(row, wanted, took, row.last == self.last) for row in told]


def _filled(row: _Row, wanted: int, window_s: float, current: bool) -> Usage:
    known = row.memory_known and bool(row.memory)
    return replace(
        row.usage,
        samples=row.samples,
        window_s=window_s,
        covered=min(row.samples / wanted, 1.0),
        memory_peak_mib=max(row.memory) if known else None,
        memory_p95_mib=quantile(row.memory, 0.95) if known else None,
        util_peak=max(row.busy) / 100 if row.busy else None,
        util_p95=quantile(row.busy, 0.95) / 100 if row.busy else None,
        first_seen=row.first or None,
        last_seen=row.last or None,
        current=current,
    )


def _size(gpu: Mapping[str, Any], profile: str) -> int | None:
    """Memory of an instance by the table of products."""
    product = all_products().get(gpu.get("product") or "")
    offer = product.find(profile) if product else None
    return None if offer is None else offer.memory_mib


def _of_workload(device: Usage, labels: Labels) -> Usage:
    return replace(device, workload=labels, memory_of="workload")


def _labels(process: Mapping[str, Any]) -> Labels:
    return Labels(
        container=process.get("container"),
        command=process.get("command"),
        user=process.get("user"),
        unit=process.get("unit"),
    )


def quantile(values: Mapping[int, int], share: float) -> int:
    """The smallest value that at least that share of the samples (value -> how often) do not exceed."""
    ordered: Sequence[int] = sorted(values)
    needed, passed = math.ceil(round(share * sum(values.values()), 9)), 0
    for value in ordered:
        passed += values[value]
        if passed >= needed:
            return value
    return ordered[-1]
