"""Measuring side by side: ways of doing one thing, in turn, round after round, and what they took."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Taken:
    """Seconds of one way, a number a round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def cell(self, unit: float = 1.0, digits: int = 2) -> str:
        """Median (least to most), in seconds divided by `unit`."""
        least, most = min(self.seconds) / unit, max(self.seconds) / unit
        middle = f"{self.median / unit:.{digits}f}"
        return middle if len(self.seconds) == 1 else f"{middle} ({least:.{digits}f} to {most:.{digits}f})"

    def beside(self, other: Taken) -> float:
        """The median of how many times `other`'s this takes, round by round."""
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=False))


def side_by_side(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Taken]:
    """Each way in turn, `rounds` times; a way returns the seconds that count."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        # Another one begins each time, so that none always follows the same.
        order = list(ways)
        shift = number % len(order)
        for name in order[shift:] + order[:shift]:
            found[name].append(ways[name]())
            tell(f"  {name}: {found[name][-1]:.3f} s")
    return {name: Taken(tuple(seconds)) for name, seconds in found.items()}


def timed(action: Callable[[], object]) -> float:
    """Seconds by the clock."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def process(words: list[object], environment: Mapping[str, str] | None = None, stdin: bytes = b"") -> float:
    """Seconds by the clock of a process, from its start to its end; it must succeed."""
    began = time.perf_counter()
    done = subprocess.run([str(word) for word in words], env=environment, input=stdin, capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        shown = (done.stdout[-800:] + done.stderr[-800:]).decode("utf-8", "replace")
        raise SystemExit(f"{words[0]} ended with {done.returncode}:\n{shown}")
    return took


@dataclass(frozen=True)
class Used:
    """What a process came to: its exit status, seconds by the clock and of its own, the most memory that it had."""

    code: int
    wall_s: float
    cpu_s: float
    peak_mb: float


def used(words: list[object], output: Path | None = None) -> Used:
    """Run a process to its end; what it prints goes into the file."""
    began = time.perf_counter()
    with (output or Path(os.devnull)).open("wb") as stream:
        child = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=stream)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Used(child.returncode, time.perf_counter() - began, cpu, usage.ru_maxrss / 1024)


def more_files() -> None:
    """Thousands of connections need more descriptors than a shell allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def tell(text: str) -> None:
    """What goes on, for who waits; the results go into the page."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """What it was measured on, in one sentence."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    tools = ", ".join(f"{name} {version(name)}" for name in ("paramiko", "ansible-core"))
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB; Python {platform.python_version()}, {tools}"


def commit() -> str:
    """The commit that was measured; with `+` where the product's files differ from it."""
    ask = ["git", "-C", str(ROOT)]
    name = subprocess.run([*ask, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    code = ["migprov", "plugins", "benchmarks"]
    dirty = subprocess.run([*ask, "status", "--porcelain", "--", *code], capture_output=True, text=True, check=False)
    return (name.stdout.strip() or "unknown") + ("+" if dirty.stdout.strip() else "")
