#!/usr/bin/env python3
"""`migprov audit --local` on a real H200 with MIG off, compared with nvidia-smi. Nothing is changed.

    tests/hardware/audit_h200.py          # on the machine with the GPU, from the checkout; needs click, rich, pynvml

What uses the GPU is a CUDA process of this script's own, of a known size. Every comparison is a line beginning with ok
or differs; the exit status is 0 when none differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GIB = 1024
HELD_MIB = 20 * GIB
LARGEST_CONTEXT_MIB = 1 * GIB
TOLERANCE = 0.01
SETTINGS = "mig.mode.current,mig.mode.pending,persistence_mode,compute_mode,ecc.mode.current,power.limit"
CUDA = """
import ctypes, sys, time
cuda = ctypes.CDLL("libcuda.so.1")
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
def call(name, *arguments):
    value = getattr(cuda, name)(*arguments)
    assert value == 0, (name, value)
size, busy = int(sys.argv[1]) << 20, sys.argv[2] == "busy"
call("cuInit", 0)
call("cuDeviceGet", ctypes.byref(device), 0)
call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
call("cuCtxSetCurrent", context)
call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(size))
print("ready", flush=True)
end = time.monotonic() + 300
while time.monotonic() < end:
    if busy:
        call("cuMemsetD32_v2", memory, ctypes.c_uint(7), ctypes.c_size_t(size // 4))
        call("cuCtxSynchronize")
    else:
        time.sleep(1)
"""


class Comparisons:
    """Prints each comparison and remembers whether any differed."""

    def __init__(self) -> None:
        self.differing = 0
        self.made = 0

    def _say(self, good: bool, text: str) -> None:
        self.made += 1
        self.differing += not good
        print(f"{'ok     ' if good else 'differs'} {text}", flush=True)

    def same(self, what: str, ours: Any, theirs: Any) -> None:
        self._say(ours == theirs, f"{what}: {ours!r}" + ("" if ours == theirs else f", expected {theirs!r}"))

    def near(self, what: str, ours: float | None, theirs: float | None) -> None:
        good = ours is not None and theirs is not None and abs(ours - theirs) <= TOLERANCE * theirs
        self._say(good, f"{what}: {ours}, nvidia-smi {theirs}")

    def within(self, what: str, ours: float | None, low: float, high: float) -> None:
        self._say(ours is not None and low <= ours <= high, f"{what}: {ours}, from {low} to {high}")


def smi(query: str, of: str = "gpu") -> list[list[str]]:
    """The rows of `nvidia-smi --query-...`, without units."""
    command = ["nvidia-smi", f"--query-{of}={query}", "--format=csv,noheader,nounits"]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60, text=True).stdout
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]


@contextmanager
def using(size_mib: int, what: str) -> Iterator[int]:
    """A CUDA process of this script's own that holds so much memory, or also works; ended at the end. Gives its pid."""
    child = subprocess.Popen([sys.executable, "-c", CUDA, str(size_mib), what], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        yield child.pid
    finally:
        child.kill()
        child.wait()


def audited() -> tuple[list[dict[str, Any]], int, int]:
    """What `migprov audit` says, and the highest memory (MiB) and utilisation (percent) of nvidia-smi meanwhile."""
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            (row,) = [[int(cell) for cell in each] for each in smi("memory.used,utilization.gpu")]
            seen.append((row[0], row[1]))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-m", "migprov.cli", "audit", "--local", "--for", "6", "--every", "0.5", "--json"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
        ran = subprocess.run(command, stdout=subprocess.PIPE, env=env, cwd="/", check=True, timeout=200, text=True)
    finally:
        done.set()
        thread.join()
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    return found, max(memory for memory, _ in seen), max(busy for _, busy in seen)


def compare(to: Comparisons) -> None:
    """With nobody on the card, with a process that holds memory, and with one that works too."""
    ((total, model),) = smi("memory.total,name")
    (idle,), memory, _ = audited()
    to.same("nobody: verdict", idle["verdict"], "idle")
    to.within("nobody: peak, MiB", idle["usage"]["memory_peak_mib"], memory - 4, memory + 4)
    to.same("memory of the card, MiB", idle["usage"]["memory_total_mib"], int(total))
    to.same("model", idle["usage"]["model"], model)
    for what in ("holding", "busy"):
        with using(HELD_MIB, what) as pid:
            (card,), memory, busy = audited()
            theirs = {int(row[0]): int(row[1]) for row in smi("pid,used_memory", "compute-apps")}
        own = card["usage"]
        to.near(f"{what}: peak of the card, MiB", own["memory_peak_mib"], memory)
        to.near(f"{what}: 95th percentile, MiB", own["memory_p95_mib"], memory)
        (work,) = card["workloads"]
        if pid in theirs:
            to.near(f"{what}: peak of the process, MiB", work["memory_peak_mib"], theirs[pid])
        else:
            print(f"        nvidia-smi does not list process {pid} here, it lists {theirs}")
        peak = work["memory_peak_mib"]
        to.within(f"{what}: process and context, MiB", peak, HELD_MIB, HELD_MIB + LARGEST_CONTEXT_MIB)
        to.same(f"{what}: command", str(work["workload"]["command"])[:6], "python")
        to.same(f"{what}: samples", (own["samples"], own["covered"]), (13, 1.0))
        print(f"        {what}: utilisation peak {own['util_peak']}, nvidia-smi {busy / 100}; {card['reasons']}")
        if what == "busy":
            to.within("busy: utilisation", own["util_peak"], 0.9, 1.0)
        to.same(f"{what}: verdict", (card["verdict"], card["fits"]), ("hollow", "1g.35gb"))


def main() -> int:
    """Compare, and see that no setting differs afterwards."""
    to = Comparisons()
    before = smi(SETTINGS)
    to.same("GPUs", len(before), 1)
    to.same("MIG mode is off", before[0][:2], ["Disabled", "Disabled"])
    if not to.differing:
        compare(to)
    to.same("settings as before", smi(SETTINGS), before)
    print(f"{to.made} comparisons, {to.differing} differ")
    return 1 if to.differing else 0


if __name__ == "__main__":
    sys.exit(main())
