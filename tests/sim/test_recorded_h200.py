"""Every answer that was recorded of real cards, call by call, from simulated ones.

The recordings (tests/data/*-nvml.json) are walked: whatever call one holds is compared, and a part of a recording that
nobody knows how to replay fails. What may differ stands in `MAY_DIFFER` with its reason; an entry that no recording
needs fails as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode
from tests.hardware import nvml_calls, nvml_checks
from tests.sim.conftest import Nvml, on_node
from tests.sim.recordings import MIB, Machine, files, form

RECORDINGS = files("*-nvml.json")

_BOARD = "identity of one board"
_PLACE = "where the board sits in its machine"
_MOMENT = "a reading of the moment; the simulated card's is that of the first recording"
_TRAFFIC = "traffic and energy of the moment: a simulated card has no traffic"
# Function -> why. Then the form of the answers is compared: same error, same keys, same kinds of values.
MAY_DIFFER = {
    "nvmlDeviceGetUUID": _BOARD,
    "nvmlDeviceGetSerial": _BOARD,
    "nvmlDeviceGetBoardPartNumber": "a later revision of the same board",
    "nvmlDeviceGetPdi": _BOARD,
    "nvmlDeviceGetInforomConfigurationChecksum": _BOARD,
    "nvmlDeviceGetBoardId": _PLACE,
    "nvmlDeviceGetModuleId": _PLACE,
    "nvmlDeviceGetPlatformInfo": _PLACE,
    "nvmlDeviceGetPciInfo": _PLACE,
    "nvmlDeviceGetPciInfo_v3": _PLACE,
    "nvmlDeviceGetPciInfoExt": _PLACE,
    "nvmlDeviceGetCpuAffinity": "the processors of the machine",
    "nvmlDeviceGetCpuAffinityWithinScope": "the processors of the machine",
    "nvmlDeviceGetGpuFabricInfo": "the recorder blanks it as identity, its state too",
    "nvmlDeviceGetGpuFabricInfoV": "the recorder blanks it as identity, its state too",
    "nvmlDeviceGetClock": _MOMENT,
    "nvmlDeviceGetClockInfo": _MOMENT,
    "nvmlDeviceGetCurrentClockFreqs": _MOMENT,
    "nvmlDeviceGetPerformanceModes": _MOMENT,
    "nvmlDeviceGetMarginTemperature": _MOMENT,
    "nvmlDeviceGetTemperature": _MOMENT,
    "nvmlDeviceGetTemperatureV": _MOMENT,
    "nvmlDeviceGetTemperatureV1": _MOMENT,
    "nvmlDeviceGetThermalSettings": _MOMENT,
    "nvmlDeviceGetPowerUsage": _MOMENT,
    "nvmlDeviceGetViolationStatus": "times, which run",
    "nvmlDeviceGetTotalEnergyConsumption": _TRAFFIC,
    "nvmlDeviceGetPcieThroughput": _TRAFFIC,
    "nvmlDeviceGetSupportedEventTypes": "the simulated driver offers only events that it could deliver",
}
# Label -> what the simulated driver answers instead, and why.
OTHERWISE: dict[str, tuple[Any, str]] = {
    "nvmlGpmQueryDeviceSupport": ({"err": 3, "msg": "Not Supported"}, "no performance samples are simulated"),
    "nvmlGpmQueryIfStreamingEnabled": ({"err": 3, "msg": "Not Supported"}, "no performance samples are simulated"),
    **{
        f"field {number}": ([3], "settings of NVLink's power, of which only that they have a value was recorded")
        for number in ("146", "168", "200", "223", "224", "225")
    },
    "signal 11": (2, "the real library crashes there"),
}
# Labels of the first recorder, which named no arguments.
FIRST_LABELS = {"nvmlDeviceGetTemperature": "nvmlDeviceGetTemperature(0)"}
# What in a recording is no answer: what it says of itself, and how long calls took.
NO_ANSWERS = {"what", "gpus", "changing", "identity", "init_shutdown_us", "profile_info_us"}


class Differences:
    """What differed, and which of the allowances were made use of."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[Any, Any]] = {}
        self.allowed: set[str] = set()
        self.compared = 0

    def compare(self, where: str, label: str, recorded: Any, simulated: Any) -> None:
        """One answer. `label`: the call as recorded, by which it may be allowed to differ."""
        recorded, simulated = without_time(recorded), without_time(simulated)
        self.compared += 1
        if recorded == simulated or not_kept(recorded, simulated):
            return
        name, key = nvml_calls.base(label), recorded if isinstance(recorded, str) else label
        if name in MAY_DIFFER and form(recorded) == form(simulated):
            self.allowed.add(name)
        elif key in OTHERWISE and simulated == OTHERWISE[key][0]:
            self.allowed.add(key)
        else:
            self.found[f"{where}: {label}"] = (recorded, simulated)

    def rows(self, where: str, recorded: dict[str, Any], simulated: dict[str, Any]) -> None:
        """Answers by label; a label that the simulated side has not is a difference too."""
        for label, answer in recorded.items():
            self.compare(where, label, answer, simulated.get(label, "not asked"))


def without_time(answer: Any) -> Any:
    """An answer without how long it took."""
    return {key: each for key, each in answer.items() if key != "us"} if isinstance(answer, dict) else answer


def not_kept(recorded: Any, simulated: Any) -> bool:
    """The first recorder kept nothing of a bare number object but that it was there."""
    return recorded == {"ok": {}} and isinstance(simulated, dict) and isinstance(simulated.get("ok"), int)


class Replay:
    """One recording on a node like its machine. A method for each part of a recording, by its name."""

    def __init__(self, nvml: Nvml, recorded: dict[str, Any], to: Differences) -> None:
        self.nvml, self.recorded, self.to = nvml, recorded, to

    def walk(self) -> None:
        for part in self.recorded:
            if part not in NO_ANSWERS:
                replay = getattr(self, part, None)
                if replay is None:
                    self.to.found[part] = ("a part of the recording", "nobody knows how to replay it")
                else:
                    replay(self.recorded[part])

    def system(self, part: dict[str, Any]) -> None:
        calls = {name: answer for name, answer in part.items() if name.startswith("nvml")}
        self.to.rows("system", calls, {name: nvml_calls.answer(getattr(pynvml, name)) for name in calls})

    def idle(self, part: dict[str, Any], gpu: int = 0) -> None:
        for label, answer in part.items():
            found = nvml_calls.answer(nvml_calls.by_label(FIRST_LABELS.get(label, label)), self.nvml.gpu(gpu))
            if label == "field_values":
                self.fields(answer["ok"], found["ok"])
            else:
                self.to.compare(f"GPU {gpu}", label, answer, found)

    def fields(self, recorded: dict[str, Any], found: dict[str, Any]) -> None:
        for number, answer in recorded.items():
            self.to.compare("fields", f"field {number}", answer, found[number])

    def gpu_instance_profiles_by_enum(self, part: dict[str, Any], gpu: int = 0) -> None:
        found = nvml_calls.profiles(self.nvml.gpu(gpu))
        for number, recorded in part.items():
            profile = {**found[number], "enum": int(number)}
            profile["pp_count_null"] = len(profile.get("placements", ()))
            kept = {key: each for key, each in recorded.items() if not key.endswith("_us")}
            self.to.compare(f"GPU {gpu}", f"profile {number}", kept, {key: profile.get(key) for key in kept})

    def other_gpus(self, part: dict[str, Any]) -> None:
        for index, parts in part.items():
            for name, rows in parts.items():
                getattr(self, name)(rows, int(index))

    def pairs(self, part: dict[str, Any]) -> None:
        for which, recorded in part.items():
            first, second = (self.nvml.gpu(int(index)) for index in which.split(" and "))
            self.to.rows(which, recorded, nvml_calls.pairs(first, second))

    def handles(self, part: dict[str, Any]) -> None:
        self.to.rows("handles", part, nvml_calls.handles(self.nvml.gpu()))

    def error_texts(self, part: dict[str, Any]) -> None:
        self.to.rows("error texts", part, nvml_calls.errors())

    def missing_functions(self, part: list[str]) -> None:
        """An older nvidia-ml-py asked for fewer functions: which others there are is tested with the products."""
        self.to.compare("functions", "missing", part, [name for name in part if not nvml_calls.code_exists(name)])

    def argument_checks(self, part: dict[str, Any]) -> None:
        checks, space = nvml_checks.all_checks(), nvml_checks.Space()
        found = {check.label: space.ask(check, self.nvml.gpu()) for check in checks if check.label in part}
        self.to.rows("arguments", part, found)

    def argument_checks_one_cuda_process(self, part: dict[str, Any]) -> None:
        with self.holding(0):
            self.argument_checks(part)

    def one_cuda_process(self, part: dict[str, Any]) -> None:
        with self.holding(0) as pid:
            self.processes(part, 0, pid)

    def one_cuda_process_other_gpu(self, part: dict[str, Any]) -> None:
        with self.holding(0):
            self.processes(part, self.recorded["gpus"] - 1, 0)

    def two_cuda_processes(self, part: dict[str, Any]) -> None:
        with contextlib.ExitStack() as stack:
            pids = {index: stack.enter_context(self.holding(int(index))) for index in part}
            for index, rows in part.items():
                self.processes(rows, int(index), pids[index])

    def two_cuda_processes_are(self, part: dict[str, int]) -> None:
        listed = {index: own_pid(self.recorded["two_cuda_processes"][index]) for index in part}
        self.to.compare("two processes", "their pids", part, listed)  # of the recording itself

    def one_cuda_process_is(self, part: dict[str, Any]) -> None:
        with self.holding(0) as pid:
            found = nvml_calls.answer(pynvml.nvmlSystemGetProcessName, pid)
            found["ok"] = os.path.basename(found["ok"].split()[0])
            other = nvml_calls.answer(pynvml.nvmlSystemGetProcessName, os.getpid())
        self.to.compare("one process", "its name", part["nvmlSystemGetProcessName"], found)
        self.to.compare("one process", "name of another", "err" in part["nvmlSystemGetProcessName of another process"],
                        "err" in other)  # fmt: skip
        self.to.compare("one process", "its pid", part["pid"], own_pid(self.recorded["one_cuda_process"]))

    def one_cuda_process_open_files(self, part: list[str]) -> None:
        """Only one of the machines had the files of capabilities open, which programs without MIG have no use for."""
        with self.holding(0) as pid:
            folder = self.nvml.node.env()["MIGPROV_DEV"]
            links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        found = {link.replace(folder, "/dev") for link in links if link.startswith(folder)}
        real = {path.split()[0] for path in part}
        self.to.compare("one process", "open files", *(sorted(x for x in s if "-caps" not in x) for s in (real, found)))

    def processes(self, part: dict[str, Any], gpu: int, pid: int) -> None:
        for label, answer in part.items():
            found = nvml_calls.answer(nvml_calls.by_label(label), self.nvml.gpu(gpu))
            ours = json.loads(json.dumps(answer))
            for row in ours["ok"] if isinstance(ours.get("ok"), list) else ():
                row["pid"] = pid
            self.to.compare(f"GPU {gpu} in use", label, ours, found)

    @contextlib.contextmanager
    def holding(self, gpu: int) -> Iterator[int]:
        """A process as it was recorded, on one of the GPUs."""
        size = self.recorded["one_cuda_process"]["nvmlDeviceGetComputeRunningProcesses"]["ok"][0]["usedGpuMemory"]
        assert size % MIB == 0
        pid = self.nvml.node.hold(gpu, size // MIB, command="/usr/bin/python3 work.py")
        try:
            yield pid
        finally:
            self.nvml.node.release(pid)


def own_pid(rows: dict[str, Any]) -> int:
    return int(rows["nvmlDeviceGetComputeRunningProcesses"]["ok"][0]["pid"])


@pytest.fixture(scope="module")
def walked(loaded: Any) -> Iterator[dict[str, Differences]]:
    """Every recording, replayed."""
    found: dict[str, Differences] = {}
    saved = os.environ.get("MIGPROV_SIM_STATE")
    for path in RECORDINGS:
        recorded, found[path.name] = json.loads(path.read_text()), Differences()
        machine = Machine.of_calls(recorded)
        with tempfile.TemporaryDirectory(prefix="migprov-sim-") as folder:
            node = SimNode.create(Path(folder) / "node", machine.gpu_list, machine.driver_version)
            try:
                machine.like(node)
                with on_node(node) as nvml:
                    Replay(nvml, recorded, found[path.name]).walk()
            finally:
                node.power_off()
    os.environ.pop("MIGPROV_SIM_STATE", None)
    if saved is not None:
        os.environ["MIGPROV_SIM_STATE"] = saved
    yield found


@pytest.mark.parametrize("name", [path.name for path in RECORDINGS])
def test_recorded_and_simulated_agree(walked: dict[str, Differences], name: str) -> None:
    assert walked[name].found == {}
    assert walked[name].compared > 50


def test_there_are_recordings() -> None:
    assert len(RECORDINGS) >= 2


def test_no_allowance_is_stale(walked: dict[str, Differences]) -> None:
    used = set().union(*(each.allowed for each in walked.values()))
    assert {*MAY_DIFFER, *OTHERWISE} - used == set()


def test_a_difference_is_found() -> None:
    """What the comparison itself lets through and what not."""
    to = Differences()
    to.compare("", "nvmlDeviceGetTemperature(0)", {"ok": 36, "us": 1}, {"ok": 35, "us": 2})
    assert (to.found, to.allowed) == ({}, {"nvmlDeviceGetTemperature"})
    to.compare("", "nvmlDeviceGetTemperature(0)", {"ok": 36}, {"err": 3, "msg": "Not Supported"})
    to.compare("", "nvmlDeviceGetMemoryBusWidth", {"ok": 6016}, {"ok": 6144})
    to.compare("", "nvmlDeviceGetUUID", {"ok": "GPU-00000000"}, {"ok": "GPU-0000"})
    assert len(to.found) == 3
