"""What an audit saw -> the workloads to plan with."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .model import Place, Workload
from .usage import Device, Labels, Usage, own_rows, workload_rows
from .workloads_file import dump

_REPLICA_SET = re.compile(r"-[0-9a-z]{6,10}-[a-z0-9]{5}$")
"""A Deployment's pod: `asr-7d9f8b6c5d-x2x9z`."""
_ORDINAL = re.compile(r"-[0-9]+$")
"""A StatefulSet's pod, or an indexed Job's: `asr-0`."""
_RANDOM = re.compile(r"-(?=[a-z]*[0-9])[a-z0-9]{5}$")
"""A DaemonSet's or Job's pod, `asr-x2x9z`; a word without a digit is taken for part of the name."""

_LATELY_S = 120.0
_LATELY_SHARE = 0.02
_LATELY_SAMPLES = 3
_LONGEST_NAME = 253


class Drawn(NamedTuple):
    """Workloads, and what could not be told from what was seen."""

    workloads: list[Workload]
    notes: list[str]


def workloads(usages: Sequence[Usage]) -> list[Workload]:
    """The workloads of `drawn`, without its notes."""
    return drawn(usages).workloads


def file_text(usages: Sequence[Usage]) -> str:
    """The workloads file of `drawn`, its notes as comments at the top."""
    found = drawn(usages)
    return dump(found.workloads, found.notes)


def drawn(usages: Sequence[Usage]) -> Drawn:
    """A workload for each name, with the largest peak of its replicas as its memory.

    Replicas are those that were seen at the same time. `runs_on` has the places of those that were there at the end of
    what was seen. Latency and the other wishes are not to be seen and left out.
    """
    rows = workload_rows(usages)
    by_name: dict[str, list[Usage]] = defaultdict(list)
    for row in rows:
        by_name[name_of(row.workload or Labels())].append(row)
    end = max((row.last_seen for row in usages if row.last_seen is not None), default=None)
    taken: set[Place] = set()
    found, notes = [], list(_not_attributable(usages))
    for name, own in sorted(by_name.items()):
        peaks = [row.memory_peak_mib for row in own if row.memory_peak_mib is not None]
        if not peaks or max(peaks) < 1:
            notes.append(f"{name} is left out: its memory is {'0' if peaks else 'not known'}")
            continue
        places = list(_places(name, own, end, taken, notes))
        replicas = max(_at_once(own), len(places))
        notes += _several_cards(name, own)
        found.append(Workload(name, max(peaks), replicas=replicas, runs_on=tuple(places)))
    return Drawn(found, notes)


def name_of(labels: Labels) -> str:
    """What all replicas of a workload are called: pod without its replica's part, job, unit, container or command."""
    return _name(labels)[:_LONGEST_NAME].strip() or "unknown"


def _name(labels: Labels) -> str:
    if labels.pod:
        return "/".join(part for part in (labels.namespace, _pod_template(labels.pod), labels.container) if part)
    if labels.job:
        return f"job {labels.job}"
    if labels.unit:
        return labels.unit.removesuffix(".service").partition("@")[0]
    if labels.command:
        return labels.command
    return f"container {labels.container[:12]}" if labels.container else "unknown"


def _pod_template(pod: str) -> str:
    for pattern in (_REPLICA_SET, _ORDINAL, _RANDOM):
        shorter = pattern.sub("", pod)
        if shorter and shorter != pod:
            return shorter
    return pod


def _places(
    name: str, rows: Sequence[Usage], end: float | None, taken: set[Place], notes: list[str]
) -> Iterator[Place]:
    """Where the replicas are at the end; a place for one replica only, as the planner has it."""
    for row in sorted(rows, key=lambda row: (row.host, -1 if row.gpu is None else row.gpu, row.uuid, row.start or 0)):
        if not row.current or (end is not None and row.last_seen is not None and row.last_seen < end - _lately(row)):
            continue
        if row.gi_id is not None and row.start is None:
            notes.append(f"{name}: where {row.name} begins on its card is not known, so no runs-on was written for it")
            continue
        place = Place(row.host, row.uuid if row.gpu is None else row.gpu, row.start)
        if place in taken:
            notes.append(f"{name}: {row.name} has more than one; only the first that is named is said to run there")
            continue
        taken.add(place)
        yield place


def _lately(row: Usage) -> float:
    """How long ago the last sample of what still runs may have been: a few of those that come between two samples."""
    share = _LATELY_SHARE * row.window_s
    if row.samples > 1 and row.first_seen is not None and row.last_seen is not None:
        share = min(share, _LATELY_SAMPLES * (row.last_seen - row.first_seen) / (row.samples - 1))
    return max(_LATELY_S, share)


def _at_once(rows: Sequence[Usage]) -> int:
    """How many were there at the same time, at most; those of unknown time were there all along."""
    always = sum(row.first_seen is None or row.last_seen is None for row in rows)
    # An end counts before a beginning at the same moment: one took the other's place.
    events = [(row.first_seen, 1) for row in rows if row.first_seen is not None and row.last_seen is not None]
    events += [(row.last_seen, 0) for row in rows if row.first_seen is not None and row.last_seen is not None]
    most = now = 0
    for _, begins in sorted(events):
        now += 1 if begins else -1
        most = max(most, now)
    # One sample has its end where it begins.
    return max(1, always + max(most, min(1, len(events))))


def _several_cards(name: str, rows: Sequence[Usage]) -> Iterator[str]:
    cards: dict[str, set[Device]] = defaultdict(set)
    for row in rows:
        cards[f"{row.host} {row.workload}"].add(row.device)
    pods = [len(devices) for key, devices in cards.items() if len(devices) > 1 and _is_one(rows, key)]
    if pods:
        yield (
            f"{name}: one of it used {max(pods)} GPUs or instances; each counts as a replica with a place of its own, "
            "which loses that they belong together"
        )


def _is_one(rows: Sequence[Usage], key: str) -> bool:
    """Whether the label is that of one process group (a pod or container), not a name that many have."""
    row = next(row for row in rows if f"{row.host} {row.workload}" == key)
    labels = row.workload or Labels()
    return bool(labels.pod or labels.job or (labels.container and not labels.unit))


def _not_attributable(usages: Sequence[Usage]) -> Iterator[str]:
    """Cards and instances of whose use it is not known whose it was."""
    seen: dict[Device, list[Usage]] = defaultdict(list)
    for row in workload_rows(usages):
        seen[row.device].append(row)
    cards_with = Counter(device._replace(gi_id=None) for device in seen)
    for row in own_rows(usages):
        peak = row.memory_peak_mib or 0
        there = seen.get(row.device, [])
        if not there and peak and not (row.gi_id is None and cards_with[row.device]):
            yield f"{row.name}: used {peak} MiB at its peak, and whose that was is not known; no workload stands for it"
    for rows in seen.values():
        shared = sorted({str(row.workload) for row in rows if row.memory_of == "device"})
        if len(shared) > 1:
            yield (
                f"{rows[0].name}: the memory of {', '.join(shared)} cannot be told apart; each has the peak of all "
                "of them together"
            )
