"""Who holds a GPU, and `drain` of these tests' own process; another one on another GPU stays."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import migprov as package

from . import cuda, smi
from .conftest import Comparisons, migprov

HELD_MIB = 2048
LARGEST_CONTEXT_MIB = 1024


def ticks(pid: int) -> int:
    """When a process began, as the kernel counts."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])


def on(gpu: int) -> list[dict[str, Any]]:
    """The processes that migprov finds on a GPU."""
    found: list[dict[str, Any]] = migprov("info", "--local", "--json").node["after"]["gpus"][gpu]["processes"]
    return found


def idle_or_skip(gpus: list[ElementTree.Element]) -> None:
    for gpu in gpus:
        if smi.processes(gpu):
            pytest.skip("others work on this GPU: nothing is drained here")


def test_a_cuda_process_and_a_monitor(to: Comparisons, gpus: list[ElementTree.Element]) -> None:
    uuid = gpus[0].findtext("uuid") or ""
    with cuda.watching(uuid) as monitor, cuda.using(uuid, HELD_MIB) as work:
        found = {one["pid"]: one for one in on(0)}
        theirs = smi.state().findall("gpu")[0]
        listed = {pid: one["memory_mib"] for pid, one in found.items() if one["kind"] != "open"}
        to.same("processes and their memory, MiB", listed, smi.processes(theirs))
        own = found.get(work.pid, {})
        to.within("own process, MiB", own.get("memory_mib"), HELD_MIB, HELD_MIB + LARGEST_CONTEXT_MIB)
        expected = ("compute", ticks(work.pid), None, None, pwd.getpwuid(os.getuid()).pw_name)
        to.same(
            "own process", tuple(own.get(key) for key in ("kind", "start_ticks", "gi_id", "ci_id", "user")), expected
        )
        to.same("its command", str(own.get("command")).startswith("python"), True)
        to.same("its arguments begin as it was started", str(own.get("arguments")).split()[1:2], ["-c"])
        to.within("it began", own.get("started"), time.time() - 60, time.time() + 1)
        to.same("the monitor is seen by its open files", found.get(monitor.pid, {}).get("kind"), "open")
        with package.local() as node:
            holders = node.holders(uuid).data["holders"]
        to.same("holders by UUID", {work.pid, monitor.pid} <= {one["pid"] for one in holders}, True)
    to.same("afterwards", [one for one in on(0) if one["pid"] in (work.pid, monitor.pid)], [])


def test_drain_ends_own_work_and_nothing_else(to: Comparisons, gpus: list[ElementTree.Element]) -> None:
    idle_or_skip(gpus)
    uuids = [gpu.findtext("uuid") or "" for gpu in gpus]
    with ExitStack() as stack:
        monitor = stack.enter_context(cuda.watching(uuids[0]))
        work = stack.enter_context(cuda.using(uuids[0], HELD_MIB))
        others = [stack.enter_context(cuda.using(uuid, HELD_MIB)) for uuid in uuids[1:]]
        _drain(to, work)
        to.same("the monitor runs", monitor.poll(), None)
        to.same("work on the other GPUs runs", [one.poll() for one in others], [None] * len(others))
        to.same("left on GPU 0", [(one["pid"], one["kind"]) for one in on(0)], [(monitor.pid, "open")])
        for index, one in enumerate(others, 1):
            to.same(f"left on GPU {index}", [p["pid"] for p in on(index) if p["kind"] == "compute"], [one.pid])
            to.same(f"nvidia-smi, GPU {index}", list(smi.processes(smi.state().findall("gpu")[index])), [one.pid])
        used = smi.mib(smi.state().findall("gpu")[0].findtext("fb_memory_usage/used"))
        to.same(
            "memory in use, MiB", migprov("info", "--local", "--json").node["after"]["gpus"][0]["memory_used_mib"], used
        )


def _drain(to: Comparisons, work: subprocess.Popen[bytes]) -> None:
    with package.local() as node:
        with pytest.raises(package.errors.NodeFailed) as busy:
            node.drain(0)
        to.same("refuse: code", busy.value.error_code, "gpu_busy")
        to.same("refuse: the process runs", work.poll(), None)
        planned = node.drain(0, "terminate", 10, check=True).planned
        expected = [("end_process", work.pid)]
        # Whatever else: nobody but this test's own process may be ended.
        assert [(step["action"], step.get("pid")) for step in planned] == expected, planned
        to.same("check: the process runs", work.poll(), None)
        # As long as nobody waits for it the ended process is a zombie: that must not be taken for life.
        done = node.drain(0, "terminate", 10)
        to.same("terminate: as planned", (done.changed, done.steps), (True, planned))
        to.same("the process ended by", work.wait(5), -signal.SIGTERM)
        changes = node.history().data["changes"]
    to.same("the journal", [(one["task"], one["result"]) for one in changes], [("drain", "done")])
