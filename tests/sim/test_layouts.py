"""Every layout that the driver allows, found by creating and destroying, not by reading a table."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

Place = tuple[int, int, int]  # profile id, start, size


def base_places(nvml: Any, gpu: Any) -> list[Place]:
    """Every placement of the plain profiles: one per slice count, without attributes or doubled memory."""
    smallest: dict[int, Any] = {}
    for name, info in nvml.profiles(gpu).items():
        kept = smallest.get(info.sliceCount)
        if "+" not in name and (kept is None or info.memorySizeMB < kept.memorySizeMB):
            smallest[info.sliceCount] = info
    return [(info.id, *place) for info in smallest.values() for place in nvml.placements(gpu, info.id)]


def explore(gpu: Any, places: list[Place]) -> tuple[set[frozenset[Place]], set[frozenset[Place]]]:
    """(every layout, the layouts to which nothing can be added)."""
    seen: set[frozenset[Place]] = set()
    maximal: set[frozenset[Place]] = set()

    def visit(layout: frozenset[Place]) -> None:
        seen.add(layout)
        room = False
        for place in places:
            with contextlib.suppress(pynvml.NVMLError_InsufficientResources):
                wanted = pynvml.c_nvmlGpuInstancePlacement_t(place[1], place[2])
                made = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, place[0], ctypes.byref(wanted))
                room = True
                if layout | {place} not in seen:
                    visit(layout | {place})
                pynvml.nvmlGpuInstanceDestroy(made)
        if not room:
            maximal.add(layout)

    visit(frozenset())
    return seen, maximal


@pytest.mark.parametrize(
    ("gpus", "layouts", "maximal", "multisets"),
    [
        ("1xA100-80GB", 298, 19, 38),
        ("1xA100-40GB", 298, 19, 38),
        ("1xH100", 298, 19, 38),
        ("1xA30", 26, 5, 10),
        ("1xRTX-PRO-6000", 26, 5, 10),
    ],
)
def test_layouts(sim: Callable[..., Any], gpus: str, layouts: int, maximal: int, multisets: int) -> None:
    nvml = sim(gpus)
    gpu = nvml.cut()
    seen, full = explore(gpu, base_places(nvml, gpu))
    assert len(seen) == layouts
    assert len(full) == maximal
    assert len({tuple(sorted(place[0] for place in layout)) for layout in seen}) == multisets


def test_at_most_one_instance_has_the_media_extensions(sim: Callable[..., Any]) -> None:
    nvml = sim("1xA30")
    gpu = nvml.cut()
    nvml.create(gpu, "1g.6gb+me", 0)
    for profile in ("1g.6gb+me", "2g.12gb+me"):
        with pytest.raises(pynvml.NVMLError_InsufficientResources):
            nvml.create(gpu, profile, 2)
        assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, nvml.profiles(gpu)[profile].id) == 0
    nvml.create(gpu, "2g.12gb", 2)


def test_beside_all_media_engines_only_profiles_without_any(sim: Callable[..., Any]) -> None:
    nvml = sim("1xRTX-PRO-6000")
    gpu = nvml.cut()
    whole = nvml.create(gpu, "1g.24gb+me.all", 0)
    for profile in ("1g.24gb", "1g.24gb+me", "1g.24gb+gfx", "2g.48gb"):
        with pytest.raises(pynvml.NVMLError_InsufficientResources):
            nvml.create(gpu, profile, 6)
    nvml.create(gpu, "1g.24gb-me", 6)
    pynvml.nvmlGpuInstanceDestroy(whole)
    nvml.create(gpu, "1g.24gb", 0)
    with pytest.raises(pynvml.NVMLError_InsufficientResources):
        nvml.create(gpu, "1g.24gb+me.all", 3)
