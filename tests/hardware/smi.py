"""What nvidia-smi says, which is what migprov is compared with."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any

_PROFILE = re.compile(
    r"\|\s+(\d+)\s+MIG (\S+)\s+(\d+)\s+(\d+)/(\d+)\s+([0-9.]+)\s+(Yes|No)\s+(\d+)\s+(\d+)\s+(\d+)\s+\|\n"
    r"\|\s+(\d+)\s+(\d+)\s+(\d+)\s+\|"
)
_PLACES = re.compile(r"GPU\s+(\d+) Profile ID\s+(\d+) Placements?\s*:\s*\{([0-9,]+)\}:(\d+)")
# What goes up and down by itself, or with the processes of these tests; everything else has to stay as it is.
_MOVING = (
    *(
        "timestamp",
        "clocks_event_reasons",
        "clocks_throttle_reasons",
        "clocks_event_reasons_counters",
        "fb_memory_usage",
    ),
    *("bar1_memory_usage", "utilization", "temperature", "processes", "accounted_processes", "clocks", "tx_util"),
    *("rx_util", "replay_counter", "replay_rollover_counter", "performance_state", "sparse_operation_mode"),
    *("average_power_draw", "instant_power_draw", "power_draw", "power_state", "jpeg_util", "ofa_util"),
)


@dataclass(frozen=True)
class Profile:
    """One row of `nvidia-smi mig -lgip`, with its places from `-lgipp`."""

    name: str
    id: int
    free: int
    most: int
    gib: float
    p2p: bool
    sms: int
    starts: tuple[int, ...]
    size: int


def run(*arguments: str) -> str:
    """nvidia-smi's output."""
    done = subprocess.run(["nvidia-smi", *arguments], stdout=subprocess.PIPE, check=True, timeout=60)
    return done.stdout.decode()


def state() -> ElementTree.Element:
    """`nvidia-smi -q -x`."""
    return ElementTree.fromstring(run("-q", "-x"))


def profiles() -> dict[int, dict[int, Profile]]:
    """The profiles by GPU and id."""
    places = {
        (int(gpu), int(id)): (tuple(int(start) for start in starts.split(",")), int(size))
        for gpu, id, starts, size in _PLACES.findall(run("mig", "-lgipp"))
    }
    found: dict[int, dict[int, Profile]] = {}
    for gpu, name, id, free, most, gib, p2p, sms, *_engines in _PROFILE.findall(run("mig", "-lgip")):
        starts, size = places[int(gpu), int(id)]
        row = Profile(name, int(id), int(free), int(most), float(gib), p2p == "Yes", int(sms), starts, size)
        found.setdefault(int(gpu), {})[row.id] = row
    return found


def mib(text: str | None) -> int:
    """`2566 MiB` as a number; -1 where there is none."""
    return int((text or "-1").split()[0])


def processes(gpu: ElementTree.Element) -> dict[int, int]:
    """The processes with a context on a GPU, and their memory in MiB."""
    rows = gpu.findall("processes/process_info")
    return {int(row.findtext("pid") or 0): mib(row.findtext("used_memory")) for row in rows}


def query(fields: str) -> list[list[str]]:
    """The rows of `nvidia-smi --query-gpu`, without units."""
    text = run(f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]


def settings() -> dict[str, Any]:
    """Every setting and identity of every GPU: all that `nvidia-smi -q -x` tells and that does not move by itself."""
    found: dict[str, Any] = {}
    root = state()
    for element in root:
        _flatten(element, f"{element.tag} {element.get('id', '')}".strip(), found)
    return found


def _flatten(element: ElementTree.Element, path: str, found: dict[str, Any]) -> None:
    if element.tag in _MOVING or element.tag.endswith("_errors"):
        return
    if not len(element):
        found.setdefault(path, []).append((element.text or "").strip())
    for child in element:
        _flatten(child, f"{path}/{child.tag}", found)
