"""A simulated driver inside the test's own process: nvidia-ml-py finds the loaded library by its SONAME."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode, library


class Nvml:
    """nvidia-ml-py on one simulated node, with the few loops that its raw interface needs."""

    def __init__(self, node: SimNode) -> None:
        self.node = node

    def gpu(self, index: int = 0) -> Any:
        return pynvml.nvmlDeviceGetHandleByIndex(index)

    def profiles(self, gpu: Any) -> dict[str, Any]:
        """The GPU instance profiles by name, without "MIG "."""
        found = {}
        for number in range(17):
            with contextlib.suppress(pynvml.NVMLError_NotSupported):
                info = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number)
                found[info.name.removeprefix("MIG ")] = info
        return found

    def placements(self, gpu: Any, profile_id: int) -> list[tuple[int, int]]:
        count = ctypes.c_uint()
        pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, profile_id, None, ctypes.byref(count))
        array = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
        pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, profile_id, array, ctypes.byref(count))
        return [(each.start, each.size) for each in array]

    def instances(self, gpu: Any, profile_id: int) -> list[Any]:
        array, count = (pynvml.c_nvmlGpuInstance_t * 8)(), ctypes.c_uint()
        pynvml.nvmlDeviceGetGpuInstances(gpu, profile_id, array, ctypes.byref(count))
        return [array[index] for index in range(count.value)]

    def create(self, gpu: Any, profile: str, start: int | None = None) -> Any:
        """A GPU instance by profile name, at a place or where the driver wants it."""
        info = self.profiles(gpu)[profile]
        if start is None:
            return pynvml.nvmlDeviceCreateGpuInstance(gpu, info.id)
        size = self.placements(gpu, info.id)[0][1]
        place = pynvml.c_nvmlGpuInstancePlacement_t(start, size)
        return pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, info.id, ctypes.byref(place))

    def mig_devices(self, gpu: Any) -> list[Any]:
        found = []
        for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
            with contextlib.suppress(pynvml.NVMLError_NotFound):
                found.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index))
        return found

    def cut(self, index: int = 0) -> Any:
        """A GPU whose MIG mode is on."""
        gpu = self.gpu(index)
        assert pynvml.nvmlDeviceSetMigMode(gpu, 1) == 0
        return gpu


def gi_id(instance: Any) -> int:
    return int(pynvml.nvmlGpuInstanceGetInfo(instance).id)


@contextlib.contextmanager
def on_node(node: SimNode) -> Iterator[Nvml]:
    """Make the node this process's own."""
    os.environ["MIGPROV_SIM_STATE"] = str(node.directory / "state")
    pynvml.nvmlInit()
    try:
        yield Nvml(node)
    finally:
        pynvml.nvmlShutdown()


@pytest.fixture(scope="session", autouse=True)
def loaded() -> Any:
    return ctypes.CDLL(str(library()))


@pytest.fixture
def make_node() -> Iterator[Callable[..., SimNode]]:
    """Makes simulated nodes that other users can reach too; their holders end with the test."""
    with contextlib.ExitStack() as stack:

        def make(gpus: str = "3xA100-80GB", name: str = "node", **options: Any) -> SimNode:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migprov-sim-")))
            folder.chmod(0o755)
            node = SimNode.create(folder / name, gpus, **options)
            stack.callback(node.power_off)
            return node

        yield make
        os.environ.pop("MIGPROV_SIM_STATE", None)


@pytest.fixture
def sim(make_node: Callable[..., SimNode]) -> Iterator[Callable[..., Nvml]]:
    """Makes a node and makes it this process's own until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(on_node(make_node(*args, **options)))
