"""What was used of GPUs and GPU instances over a window: the audit's input, whatever it was read from.

A source gives a list of `Usage`. A card or instance has one row of its own, `workload` None, which counts all that
went on there and which verdicts are made of; beside it stands one row for each workload that was seen on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

from ..mig import geometry

MemoryOf = Literal["device", "workload"]
"""Whose memory a workload's row has: its own, or that of the whole card or instance while it was there."""


class Device(NamedTuple):
    """What names a card or, with `gi_id` or `start`, one of its GPU instances. `gpu` (UUID or index) is unique on its
    host.
    """

    host: str
    gpu: str
    gi_id: int | None = None
    start: int | None = None


@dataclass(frozen=True)
class Labels:
    """What is known of a workload; None where it is not. `job` is Slurm's, `unit` systemd's."""

    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    job: str | None = None
    command: str | None = None
    user: str | None = None
    unit: str | None = None

    def __str__(self) -> str:
        """Such as `voice/asr-0/server`, `job 4711`, `asr.service` or `python3 (asr)`."""
        if self.pod:
            return "/".join(part for part in (self.namespace, self.pod, self.container) if part)
        if self.job:
            return f"job {self.job}"
        if self.unit:
            return self.unit
        if self.container:
            return f"container {self.container[:12]}"
        command = self.command or "unknown"
        return f"{command} ({self.user})" if self.user else command

    def to_json(self) -> dict[str, str]:
        """The labels that are known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Usage:
    """What was used of one card or GPU instance over a window, by everybody (`workload` None) or by one workload.

    Memory in MiB; activity and utilisation from 0 to 1; times in seconds since the epoch. None: not known.
    `gpu` is the index, `uuid` that of the card, also for an instance. `product` is a key of the geometry table, `model`
    the name that the driver gives. `profile` is None for a card without MIG. `memory_total_mib` is that of the card or
    instance, `card_memory_mib` that of the whole card. `covered` is the share of the window in which there was a
    sample. `memory_of` says whose memory the figures of a workload's row are. `current` is False where it was not seen
    any more at the end of the window: a workload that has ended, an instance that is no more.
    """

    host: str
    gpu: int | None
    uuid: str
    model: str | None
    product: str | None
    gi_id: int | None
    profile: str | None
    start: int | None
    memory_total_mib: int | None
    card_memory_mib: int | None
    workload: Labels | None
    samples: int
    window_s: float
    covered: float
    memory_peak_mib: int | None
    memory_p95_mib: int | None
    sm_peak: float | None = None
    sm_p95: float | None = None
    util_peak: float | None = None
    util_p95: float | None = None
    first_seen: float | None = None
    last_seen: float | None = None
    memory_of: MemoryOf = "device"
    current: bool = True

    @property
    def device(self) -> Device:
        """The card or instance that the row is about."""
        return Device(self.host, self.uuid or str(self.gpu), self.gi_id, self.start)

    @property
    def card(self) -> Device:
        """The card that the row is about, or whose instance it is about."""
        return Device(self.host, self.uuid or str(self.gpu))

    @property
    def whole(self) -> bool:
        """Whether the row is about a whole card."""
        return self.gi_id is None and self.profile is None

    @property
    def name(self) -> str:
        """`gpu1/0` or `gpu1/0 3g.40gb at 4`; the UUID where the index is not known."""
        text = f"{self.host}/{self.uuid if self.gpu is None else self.gpu}"
        if self.whole:
            return text
        where = f"at {self.start}" if self.start is not None else f"instance {self.gi_id}"
        return f"{text} {self.profile or 'unknown profile'} {where}"

    def to_json(self) -> dict[str, Any]:
        """Every field by its name; `workload` as its labels."""
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**told, "workload": None if self.workload is None else self.workload.to_json()}


def own_rows(usages: Iterable[Usage]) -> list[Usage]:
    """The rows of the cards and instances themselves."""
    return [usage for usage in usages if usage.workload is None]


def workload_rows(usages: Iterable[Usage]) -> list[Usage]:
    """The rows of single workloads."""
    return [usage for usage in usages if usage.workload is not None]


def product_of(model: str | None, device_id: str = "") -> geometry.Product | None:
    """The product by the driver's name of it, with or without `NVIDIA ` before it; None when it is not in the table."""
    name = (model or "").strip()
    found = geometry.find(device_id, name) if name or device_id else None
    return found or (geometry.find("", f"NVIDIA {name}") if name else None)
