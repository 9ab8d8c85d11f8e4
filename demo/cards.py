"""What the cards of a fleet report, as `migprov info` reads it over SSH, and the sums over it.

A GB here is what cards are counted in: 1024 MiB. The card that is sold as 80 GB reports 81,920 MiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB_PER_GB = 1024


@dataclass(frozen=True)
class Instance:
    """A GPU instance with the MIG UUID of its compute instance."""

    gi_id: int
    profile: str
    start: int
    uuid: str


@dataclass(frozen=True)
class Holder:
    """A process on a card: its memory in MiB and, on a card in MIG mode, its GPU instance."""

    command: str
    memory_mib: int
    gi_id: int | None


@dataclass(frozen=True)
class Card:
    """One GPU of one node."""

    host: str
    index: int
    name: str
    memory_mib: int
    mig: bool
    instances: tuple[Instance, ...]
    holders: tuple[Holder, ...]

    @property
    def used_mib(self) -> int:
        """Memory that its processes hold, in MiB."""
        return sum(holder.memory_mib for holder in self.holders)


@dataclass(frozen=True)
class Use:
    """What the processes hold, of the memory of the cards that they hold; in MiB."""

    used_mib: int
    held_mib: int
    free_cards: int

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.used_mib / self.held_mib if self.held_mib else 0.0

    def __str__(self) -> str:
        return f"{gb(self.used_mib)} of {gb(self.held_mib)} GB ({self.share:.0%})"


def gb(mib: int) -> str:
    """MiB as GB with one digit, without it when it is zero."""
    return f"{mib / MIB_PER_GB:.1f}".removesuffix(".0")


def mib(amount_gb: float) -> int:
    """GB as whole MiB."""
    return round(amount_gb * MIB_PER_GB)


def read(inventory: Path) -> list[Card]:
    """All cards of all nodes, in order. Raises subprocess.CalledProcessError when a node did not answer."""
    command = [str(Path(sys.executable).with_name("migprov")), "info", "-i", str(inventory), "--json"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    nodes = [json.loads(line) for line in answer.stdout.splitlines() if line.strip()]
    nodes.sort(key=lambda node: str(node["host"]))
    return [_card(node["host"], gpu) for node in nodes for gpu in (node["after"] or node["before"])["gpus"]]


def use(cards: Iterable[Card]) -> Use:
    """Sum up who holds what. A card counts as held when a process is on it."""
    cards = list(cards)
    held = [card for card in cards if card.holders]
    return Use(
        used_mib=sum(card.used_mib for card in held),
        held_mib=sum(card.memory_mib for card in held),
        free_cards=len(cards) - len(held),
    )


def _card(host: str, gpu: dict[str, Any]) -> Card:
    instances = [
        Instance(each["gi_id"], each["profile"], each["start"], each["compute_instances"][0]["uuid"])
        for each in gpu["instances"]
        if each["compute_instances"]
    ]
    return Card(
        host=host,
        index=gpu["index"],
        name=gpu["name"],
        memory_mib=gpu["memory_mib"],
        mig=gpu["mig_current"],
        instances=tuple(sorted(instances, key=lambda instance: instance.start)),
        holders=tuple(Holder(each["command"], each["memory_mib"], each["gi_id"]) for each in gpu["processes"]),
    )
