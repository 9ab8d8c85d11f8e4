#!/usr/bin/env python3
"""The node program on a real H200 with MIG off, compared with nvidia-smi. Standard library only; no setting is changed.

    python3 -c 'from migprov.connect.program import program as p; open("node.pyz", "wb").write(p().data)'
    tests/hardware/h200.py node.pyz          # on the machine with the GPU, as root

Layouts are planned in check mode alone. What is allocated on the GPU, and what is ended by a drain, are processes of
this script. Every comparison is a line beginning with ok or differs; the exit status is 0 when none differs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

GIB = 1 << 30
HELD = 2 * GIB
SETTINGS = (
    "mig_mode/current_mig",
    "mig_mode/pending_mig",
    "persistence_mode",
    "compute_mode",
    "ecc_mode/current_ecc",
    "applications_clocks/graphics_clock",
    "applications_clocks/mem_clock",
    "gpu_power_readings/current_power_limit",
)
LISTED = re.compile(r"\|\s+(\d+)\s+MIG (\S+)\s+(\d+)\s+\d+/(\d+)\s+([0-9.]+)\s+\S+\s+(\d+)")
PLACED = re.compile(r"GPU\s+(\d+) Profile ID\s+(\d+) Placements?\s*:\s*\{([0-9,]+)\}:(\d+)")
ALLOCATE = """
import ctypes, time
cuda = ctypes.CDLL("libcuda.so.1")
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
def call(name, *arguments):
    value = getattr(cuda, name)(*arguments)
    assert value == 0, (name, value)
call("cuInit", 0)
call("cuDeviceGet", ctypes.byref(device), 0)
call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
call("cuCtxSetCurrent", context)
call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(%d))
print("ready", flush=True)
time.sleep(600)
"""
MONITOR = """
import ctypes, time
nvml = ctypes.CDLL("libnvidia-ml.so.1")
device = ctypes.c_void_p()
assert nvml.nvmlInit_v2() == 0
assert nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) == 0
print("ready", flush=True)
time.sleep(600)
"""


class Comparisons:
    """Prints each comparison and remembers whether any differed."""

    def __init__(self) -> None:
        self.differing = 0
        self.made = 0

    def same(self, what: str, ours: Any, theirs: Any) -> bool:
        equal = bool(ours == theirs)
        self.made += 1
        self.differing += not equal
        print(
            f"ok      {what}: {ours}" if equal else f"differs {what}: {ours!r}, expected {theirs!r}",
            flush=True,
        )
        return equal


class Program:
    """The node program, with a home of its own."""

    def __init__(self, path: str, home: str) -> None:
        self.path = path
        self.home = home

    def ask(self, task: str, check: bool = False, **params: Any) -> dict[str, Any]:
        # whatever is done below: nothing but the drain of this script's own process may write
        assert check or task in ("info", "driver", "verify", "history", "drain"), task
        request = {"protocol": 1, "task": task, "params": params, "check": check, "who": "tests/hardware", "wait_s": 1}
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-E", "-s", "-S", self.path],
            input=json.dumps(request).encode(),
            capture_output=True,
            env={**os.environ, "HOME": self.home},
            timeout=180,
            check=False,
        )
        assert done.returncode == 0 and done.stderr == b"", (done.returncode, done.stderr)
        reply: dict[str, Any] = json.loads(done.stdout)
        print(f"        {task}{' --check' if check else ''} in {(time.monotonic() - begun) * 1000:.0f} ms")
        return reply


def smi(*arguments: str) -> str:
    return subprocess.run(["nvidia-smi", *arguments], stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()


def smi_gpus() -> tuple[str, list[ElementTree.Element]]:
    root = ElementTree.fromstring(smi("-q", "-x"))
    return root.findtext("driver_version") or "", root.findall("gpu")


def mib(text: str | None) -> int:
    return int((text or "-1").split()[0])


def settings(gpus: list[ElementTree.Element]) -> list[tuple[str, str | None]]:
    return [(f"{name} of GPU {i}", gpu.findtext(name)) for i, gpu in enumerate(gpus) for name in SETTINGS]


@contextmanager
def process(source: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this script's own that is ready; ended at the end."""
    child = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        yield child
    finally:
        child.kill()
        child.wait()


def entry(*profiles: str, enabled: bool = True) -> dict[str, Any]:
    return {"devices": "all", "mig_enabled": enabled, "instances": list(profiles)}


def compare_info(to: Comparisons, program: Program) -> None:
    version, theirs = smi_gpus()
    reply = program.ask("info", profiles=True)
    ours = reply["after"]
    to.same("driver version", ours["driver_version"], version)
    to.same("GPUs", len(ours["gpus"]), len(theirs))
    for gpu, element in zip(ours["gpus"], theirs, strict=False):
        of = f"GPU {gpu['index']}: "
        on = {"Enabled": True, "Disabled": False}
        to.same(of + "error", gpu["error"], None)
        to.same(of + "UUID", gpu["uuid"], element.findtext("uuid"))
        to.same(of + "PCI bus id", gpu["pci_bus_id"], element.get("id"))
        to.same(of + "minor", gpu["minor"], int(element.findtext("minor_number") or -1))
        to.same(of + "name", gpu["name"], element.findtext("product_name"))
        to.same(of + "device id", gpu["device_id"], "0x" + (element.findtext("pci/pci_device_id") or ""))
        to.same(of + "product", gpu["product"], "H200-141GB")
        to.same(of + "memory, MiB", gpu["memory_mib"], mib(element.findtext("fb_memory_usage/total")))
        to.same(of + "memory in use, MiB", gpu["memory_used_mib"], mib(element.findtext("fb_memory_usage/used")))
        to.same(of + "MIG capable", gpu["mig_capable"], True)
        to.same(of + "MIG mode", gpu["mig_current"], on[element.findtext("mig_mode/current_mig") or ""])
        to.same(of + "MIG mode pending", gpu["mig_pending"], on[element.findtext("mig_mode/pending_mig") or ""])
    compare_profiles(to, reply["data"]["profiles"])


def compare_profiles(to: Comparisons, ours: dict[str, Any]) -> None:
    listed = {
        (gpu, int(key)): (name, int(most), float(gib), int(sm))
        for gpu, name, key, most, gib, sm in LISTED.findall(smi("mig", "-lgip"))
    }
    places = {
        (gpu, int(key)): ([int(start) for start in starts.split(",")], int(size))
        for gpu, key, starts, size in PLACED.findall(smi("mig", "-lgipp"))
    }
    for index, card in ours.items():
        ids = sorted(profile["profile_id"] for profile in card["profiles"])
        to.same(f"GPU {index}: profiles come from", card["source"], "nvml")
        to.same(f"GPU {index}: profiles", ids, sorted(key for gpu, key in listed if gpu == index))
        for profile in card["profiles"]:
            key = (index, profile["profile_id"])
            gib = round(profile["memory_mib"] / 1024 * 4) / 4  # nvidia-smi rounds to a quarter GiB
            row = (profile["name"], profile["max_instances"], gib, profile["sm_count"])
            to.same(f"profile {key[1]}", row, listed.get(key))
            to.same(f"placements of {profile['name']}", (profile["starts"], profile["size"]), places.get(key))


def compare_plans(to: Comparisons, program: Program) -> None:
    driver = program.ask("driver")
    to.same("driver is new enough", driver["error"], None)
    to.same("kernel module", driver["data"]["kernel_module_version"], smi_gpus()[0])
    too_old = program.ask("driver", minimum="999.1")
    to.same("driver for 999.1", too_old["error"]["code"], "driver_too_old")
    for profile, count, starts in (("3g.71gb", 2, [0, 4]), ("1g.18gb", 7, [0, 1, 2, 3, 4, 5, 6])):
        reply = program.ask("layout", check=True, entries=[entry(*[profile] * count)])
        of = f"{count} x {profile}: "
        if to.same(of + "error", reply["error"], None):
            made = [step for step in reply["planned"] if step["action"] == "create_gpu_instance" and step["gpu"] == 0]
            to.same(of + "first step", reply["planned"][0]["action"], "set_mig_mode")
            to.same(of + "places", sorted(step["start"] for step in made), starts)
            to.same(
                of + "predicted", [gi["profile"] for gi in reply["after"]["gpus"][0]["instances"]], [profile] * count
            )
    for profiles, code in ((["4g.71gb"] * 2, "layout_impossible"), (["3g.40gb"], "unknown_profile")):
        reply = program.ask("layout", check=True, entries=[entry(*profiles)])
        to.same(" + ".join(profiles), reply["error"] and reply["error"]["code"], code)
        print("        {}".format(reply["error"]["message"]))
    reply = program.ask("layout", check=True, entries=[entry(enabled=False)])
    to.same("MIG off: nothing to do", (reply["error"], reply["planned"]), (None, []))


def compare_verify(to: Comparisons, program: Program) -> None:
    reply = program.ask("verify", entries=[entry("3g.71gb", "3g.71gb")], cuda=True)
    to.same("verify of a layout that is not there", reply["error"] and reply["error"]["code"], "not_as_wanted")
    to.same("CUDA is not tried then", "cuda" in reply["data"], False)
    reply = program.ask("verify", entries=[entry(enabled=False)], cuda=True)
    to.same("verify of the whole card", reply["error"], None)
    whole = [gpu["uuid"] for gpu in reply["after"]["gpus"]]
    to.same("CUDA", [(u, one["result"]) for u, one in reply["data"]["cuda"].items()], [(u, "ok") for u in whole])
    print("        {}".format(reply["data"]["cuda"]))


def compare_holders(to: Comparisons, program: Program) -> None:
    with process(MONITOR) as monitor, process(ALLOCATE % HELD) as work:
        gpu = program.ask("info")["after"]["gpus"][0]
        element = smi_gpus()[1][0]
        found = {one["pid"]: one for one in gpu["processes"]}
        print("        {}".format(json.dumps(gpu["processes"])))
        theirs = {
            int(one.findtext("pid") or 0): mib(one.findtext("used_memory"))
            for one in element.findall("processes/process_info")
        }
        listed = {pid: one["memory_mib"] for pid, one in found.items() if one["kind"] != "open"}
        to.same("processes and their memory, MiB", listed, theirs)
        to.same("memory in use, MiB", gpu["memory_used_mib"], mib(element.findtext("fb_memory_usage/used")))
        own = found.get(work.pid, {})
        to.same("own process holds 2 GiB and its context", 2048 <= (own.get("memory_mib") or 0) < 4096, True)
        with open(f"/proc/{work.pid}/stat") as stat:
            ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
        what = [own.get(key) for key in ("kind", "start_ticks", "gi_id")]
        to.same("its kind, start and instance", what, ["compute", ticks, None])
        to.same("a monitor is seen by its open files", found.get(monitor.pid, {}).get("kind"), "open")
        busy = program.ask("layout", check=True, entries=[entry("7g.141gb")])["error"] or {}
        to.same("a layout now", busy.get("code"), "gpu_busy")
        to.same("it names the process", work.pid in [one["pid"] for one in busy.get("holders", [])], True)
        if set(theirs) == {work.pid}:
            compare_drain(to, program, monitor, work)
        else:
            print("        others work on this GPU: nothing is drained")


def compare_drain(
    to: Comparisons, program: Program, monitor: subprocess.Popen[bytes], work: subprocess.Popen[bytes]
) -> None:
    reply = program.ask("drain", gpus=[0], drain="refuse")
    to.same("drain, refuse", reply["error"] and reply["error"]["code"], "gpu_busy")
    to.same("the process runs", work.poll(), None)
    policy = {"policy": "terminate", "timeout_s": 10}
    planned = program.ask("drain", check=True, gpus=[0], drain=policy)
    to.same(
        "drain, terminate, planned", [(s["action"], s["pid"]) for s in planned["planned"]], [("end_process", work.pid)]
    )
    # as long as nobody waits for it, the ended process is a zombie: that must not be taken for life
    reply = program.ask("drain", gpus=[0], drain=policy)
    to.same("drain, terminate", (reply["error"], reply["steps"]), (None, planned["planned"]))
    to.same("the process ended by", work.wait(5), -15)
    to.same("the monitor runs", monitor.poll(), None)
    gpu = program.ask("info")["after"]["gpus"][0]
    to.same("what is left on the GPU", [(p["pid"], p["kind"]) for p in gpu["processes"]], [(monitor.pid, "open")])
    to.same("memory in use, MiB", gpu["memory_used_mib"], mib(smi_gpus()[1][0].findtext("fb_memory_usage/used")))
    changes = program.ask("history")["data"]["changes"]
    to.same(
        "the journal",
        [(one["task"], one["who"], one["result"]) for one in changes],
        [("drain", "tests/hardware", "done")],
    )


def main() -> int:
    to = Comparisons()
    before = settings(smi_gpus()[1])
    with tempfile.TemporaryDirectory() as home:
        program = Program(os.path.abspath(sys.argv[1]), home)
        for part in (compare_info, compare_plans, compare_verify, compare_holders):
            print("== {}".format(part.__name__.replace("compare_", "")))
            part(to, program)
    print("== settings")
    for (what, value), (_, now) in zip(before, settings(smi_gpus()[1]), strict=False):
        to.same(what, now, value)
    print(f"{to.made} comparisons, {to.differing} differ")
    return 1 if to.differing else 0


if __name__ == "__main__":
    sys.exit(main())
