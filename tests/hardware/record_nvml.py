"""Write down what NVML answers on this machine, call by call. Only reads; needs nvidia-ml-py and nothing else of ours.

    python3 -m tests.hardware.record_nvml OUT.json            # in the checkout
    python3 -m tests.hardware.record_nvml OUT.json --cuda     # also with a CUDA process of its own on the first GPU

What identifies the boards (UUIDs, serial numbers, host names) is replaced. tests/sim replays recordings on the
simulated driver: put them into tests/data.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import time
from pathlib import Path
from typing import Any

import pynvml

from . import cuda, nvml_calls, nvml_checks, nvml_tables

HELD_MIB = 2048


def begin() -> list[list[float]]:
    """The times of init and shutdown, in microseconds; NVML is initialised afterwards."""
    found = []
    for _ in range(3):
        times = []
        for call in (pynvml.nvmlInit, pynvml.nvmlShutdown):
            begun = time.perf_counter()
            call()
            times.append(round((time.perf_counter() - begun) * 1e6, 1))
        found.append(times)
    pynvml.nvmlInit()
    return found


def record(with_cuda: bool) -> dict[str, Any]:
    """The recording. What is of GPU 0 stands at the top, what is of the others under `other_gpus`."""
    times = begin()
    count = pynvml.nvmlDeviceGetCount()
    gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    found: dict[str, Any] = {
        "what": what(gpus),
        "gpus": count,
        "changing": sorted(nvml_tables.CHANGING),
        "identity": sorted(nvml_tables.IDENTITY),
        "system": {name: nvml_calls.answer(call) for name, call in nvml_calls.of_system().items()},
        "init_shutdown_us": times,
        "idle": idle(gpus[0]),
        "gpu_instance_profiles_by_enum": nvml_calls.profiles(gpus[0]),
        "handles": nvml_calls.handles(gpus[0]),
        "error_texts": nvml_calls.errors(),
        "missing_functions": [name for name, there in nvml_calls.symbols().items() if not there],
    }
    found["argument_checks"] = checks(nvml_checks.all_checks())
    gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    if count > 1:
        found["other_gpus"] = {
            str(index): {"idle": idle(gpu), "gpu_instance_profiles_by_enum": nvml_calls.profiles(gpu)}
            for index, gpu in enumerate(gpus)
            if index
        }
        found["pairs"] = {"0 and 1": nvml_calls.pairs(gpus[0], gpus[1]), "0 and 0": nvml_calls.pairs(gpus[0], gpus[0])}
    if with_cuda:
        found.update(with_one_process(gpus))
    return found


def checks(which: list[nvml_checks.Check]) -> dict[str, Any]:
    """The outcome of each check on GPU 0. NVML is let go of meanwhile: every check is a process of its own."""
    pynvml.nvmlShutdown()
    space = nvml_checks.Space()
    found = {check.label: space.ask_apart(check) for check in which}
    pynvml.nvmlInit()
    return found


def what(gpus: list[Any]) -> str:
    """One sentence on where this comes from."""
    names = {nvml_calls.plain(pynvml.nvmlDeviceGetName(gpu)) for gpu in gpus}
    modes = {tuple(pynvml.nvmlDeviceGetMigMode(gpu)) for gpu in gpus}
    driver = nvml_calls.plain(pynvml.nvmlSystemGetDriverVersion())
    return (
        f"Answers of the real NVML (nvidia-ml-py) on {len(gpus)} x {', '.join(sorted(names))}, driver {driver}, "
        f"MIG mode (current, pending) {sorted(modes)}, nothing changed; python3 -m tests.hardware.record_nvml. "
        "'err' is the NVML return code; 'us' the call's time in microseconds."
    )


def idle(gpu: Any) -> dict[str, Any]:
    """Every call about the GPU."""
    return {label: shortened(nvml_calls.answer(call, gpu)) for label, call in sorted(nvml_calls.of_device().items())}


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """A very long answer is kept as its length."""
    size = len(json.dumps(found))
    return {"ok": f"{size} characters", "long": True} if size > nvml_calls.LONGEST else found


def with_one_process(gpus: list[Any]) -> dict[str, Any]:
    """The calls that tell of processes, with one of this program's own on GPU 0 and then one on the last GPU too."""
    uuids = [nvml_calls.plain(pynvml.nvmlDeviceGetUUID(gpu)) for gpu in gpus]
    found: dict[str, Any] = {}
    with cuda.using(uuids[0], HELD_MIB) as child:
        found["one_cuda_process"] = of_processes(gpus[0])
        found["one_cuda_process_is"] = {"pid": child.pid, "allocated_mib": HELD_MIB, **of_pid(child.pid)}
        found["one_cuda_process_open_files"] = open_files(child.pid)
        found["argument_checks_one_cuda_process"] = checks(list(nvml_checks.of_lists()))
        gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(len(gpus))]
        if len(gpus) > 1:
            found["one_cuda_process_other_gpu"] = of_processes(gpus[-1])
            with cuda.using(uuids[-1], HELD_MIB) as second:
                found["two_cuda_processes"] = {"0": of_processes(gpus[0]), str(len(gpus) - 1): of_processes(gpus[-1])}
                found["two_cuda_processes_are"] = {"0": child.pid, str(len(gpus) - 1): second.pid}
    return found


def of_processes(gpu: Any) -> dict[str, Any]:
    return {label: nvml_calls.answer(nvml_calls.by_label(label), gpu) for label in nvml_tables.PROCESS_CALLS}


def of_pid(pid: int) -> dict[str, Any]:
    name = nvml_calls.answer(pynvml.nvmlSystemGetProcessName, pid)
    other = nvml_calls.answer(pynvml.nvmlSystemGetProcessName, os.getpid())
    if "ok" in name:
        name["ok"] = os.path.basename(name["ok"].split()[0])
    other.pop("ok", None)
    return {"nvmlSystemGetProcessName": name, "nvmlSystemGetProcessName of another process": other}


def open_files(pid: int) -> list[str]:
    found = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    return sorted(path for path in found if path.startswith("/dev/nvidia"))


def scrubbed(found: dict[str, Any]) -> dict[str, Any]:
    """Without what identifies the machine: other values of the same form in its place."""
    replace = {json.dumps(socket.gethostname()): json.dumps("host")}
    for index in range(pynvml.nvmlDeviceGetCount()):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid, serial = (nvml_calls.plain(get(gpu)) for get in (pynvml.nvmlDeviceGetUUID, pynvml.nvmlDeviceGetSerial))
        replace[uuid] = f"GPU-00000000-0000-0000-0000-{index + 1:012d}"
        replace[serial] = str(1650000000000 + index)
    for gpu_calls in [found["idle"], *(other["idle"] for other in found.get("other_gpus", {}).values())]:
        for label, one in gpu_calls.items():
            if nvml_calls.base(label) in nvml_tables.IDENTITY - {"nvmlDeviceGetUUID", "nvmlDeviceGetSerial"}:
                one.update({"ok": blank(one["ok"])} if "ok" in one else {})
    text = json.dumps(found)
    for old, new in replace.items():
        text = text.replace(old, new)
    clean: dict[str, Any] = json.loads(text)
    return clean


def blank(value: Any) -> Any:
    """A value of the same form that says nothing."""
    if isinstance(value, dict):
        return {key: each if key == "version" else blank(each) for key, each in value.items()}
    if isinstance(value, list):
        return [blank(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"\w", "0", value)
    return value if isinstance(value, bool) or value is None else 0


def main() -> None:
    """Record, clean, write."""
    parser = argparse.ArgumentParser(description="Record what NVML answers here; changes nothing.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--cuda", action="store_true", help="also with a CUDA process of this program's own")
    given = parser.parse_args()
    found = record(given.cuda)
    given.out.write_text(json.dumps(scrubbed(found), indent=1) + "\n")
    pynvml.nvmlShutdown()
    answers = len(found["idle"])
    print(f"{given.out}: {found['gpus']} GPUs, {answers} calls about each, {len(found['argument_checks'])} checks")


if __name__ == "__main__":
    main()
