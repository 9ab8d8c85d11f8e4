"""One disturbance of one run, and everything that must be true afterwards. The tests take some, the benchmark all."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from .lab import Json, Lab, Point, Try
from .program import Server

CODES: dict[str, tuple[str | int, ...]] = {
    "nvmlDeviceSetMigMode": (
        "INVALID_ARGUMENT", "NOT_SUPPORTED", "NO_PERMISSION", "RESET_REQUIRED", "GPU_IS_LOST", "UNKNOWN",
    ),
    "migprovSimResetGpu": ("NOT_SUPPORTED", "NO_PERMISSION", "IN_USE", "GPU_IS_LOST", "UNKNOWN"),
    "nvmlDeviceCreateGpuInstanceWithPlacement": (
        "NOT_SUPPORTED", "NO_PERMISSION", "INVALID_ARGUMENT", "INSUFFICIENT_RESOURCES", "IN_USE", "GPU_IS_LOST",
        "UNKNOWN",
    ),
    "nvmlGpuInstanceDestroy": (
        "NOT_SUPPORTED", "IN_USE", "NO_PERMISSION", "INVALID_ARGUMENT", "GPU_IS_LOST", "UNKNOWN",
    ),
    "nvmlGpuInstanceCreateComputeInstance": (
        "INSUFFICIENT_RESOURCES", "NOT_SUPPORTED", "NO_PERMISSION", "IN_USE", "INVALID_ARGUMENT", "UNKNOWN",
    ),
    "nvmlGpuInstanceCreateComputeInstanceWithPlacement": (
        "INSUFFICIENT_RESOURCES", "NOT_SUPPORTED", "NO_PERMISSION", "IN_USE", "INVALID_ARGUMENT", "UNKNOWN",
    ),
    "nvmlComputeInstanceDestroy": ("IN_USE", "NO_PERMISSION", "INVALID_ARGUMENT", "GPU_IS_LOST", "UNKNOWN"),
}  # fmt: skip
"""The codes that nvml.h and the driver's sources list for each write, and the two that any call can answer."""


def killed(made: Lab, point: Point, *, late: bool) -> None:
    """SIGKILL just before the driver does the write, or just after."""
    with made.one() as tried:
        tried.sim.fault(0, point.call, skip=point.nth, times=1, late=late, kill=True)
        ended = tried.change()
        assert (ended.status, ended.reply) == (-signal.SIGKILL, None)
        made.must_be_true(ended, tried)
        assert tried.done() == _after(made, point, late)
        (begun,) = tried.journal()  # written before the first write, and nothing after the last
        assert begun["planned"] == made.planned
        assert tried.ask("info")["data"]["interrupted"]["id"] == begun["id"]
        tried.sim.clear_faults()
        reply = made.must_converge(tried)
        assert reply["data"]["interrupted"]["id"] == begun["id"]


def failed(made: Lab, point: Point, code: str | int, *, late: bool = False, for_good: bool = False) -> None:
    """The call fails with `code`: once, or from then on; `late`: although the driver did what it was asked for."""
    with made.one() as tried:
        times = None if for_good else 1
        tried.sim.fault(0, point.call, error=code, skip=point.nth, times=times, late=late)
        ended = tried.change()
        assert ended.status == 0
        assert ended.reply is not None
        if not (late and ended.reply["error"] is None):
            assert ended.reply["error"] is not None, "a call failed, and nobody was told"
            assert ended.reply["error"]["gpu"] == 0
            assert ended.reply["data"]["gpus"]["0"]["result"] in ("failed", "refused")
            assert _last(tried)["result"] == "failed"
        tried.sim.clear_faults()
        made.must_be_true(ended, tried, unseen=int(late and not for_good))
        made.must_converge(tried)


def hung(made: Lab, point: Point, runner: Server | None = None, *, late: bool = False, limit_s: float = 2.0) -> None:
    """The call does not return."""
    with made.one(runner) as tried:
        tried.sim.fault(0, point.call, skip=point.nth, times=1, late=late, hang_s=3600)
        ended = tried.change(step_limit_s=limit_s)
        assert ended.status == 0
        assert ended.reply is not None
        assert ended.reply["error"]["code"] == "driver_hangs", ended.reply["error"]
        assert _last(tried)["result"] == "interrupted"
        tried.sim.clear_faults()
        made.must_be_true(ended, tried, unseen=int(late))
        made.must_converge(tried)


def some(points: Iterable[Point]) -> list[Point]:
    """The first and the last of each call."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.call, []).append(point)
    return [point for same in found.values() for point in dict.fromkeys((same[0], same[-1]))]


def _after(made: Lab, point: Point, late: bool) -> list[Json]:
    """The writes that are done when a run ends at this one."""
    steps = [p for p in made.points if p.call != "migprovSimResetGpu" or made.transition.pending]
    return made.writes[: steps.index(point) + late]


def _last(tried: Try) -> Json:
    return tried.journal()[-1]
