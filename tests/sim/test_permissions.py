"""Who owns a node's state is its root; everyone else may look only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode
from migprov.sim.errors import SimError

from .conftest import on_node

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@contextlib.contextmanager
def as_user(uid: int) -> Iterator[None]:
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def cut(make_node: Callable[..., SimNode]) -> SimNode:
    node = make_node("1xA100-80GB")
    with on_node(node) as nvml:
        pynvml.nvmlGpuInstanceCreateComputeInstance(nvml.create(nvml.cut(), "3g.40gb"), 2)
    return node


def test_others_change_nothing(cut: SimNode) -> None:
    before = cut.show()
    with as_user(NOBODY), on_node(cut) as nvml:
        gpu = nvml.gpu()
        for call in (
            lambda: pynvml.nvmlDeviceSetMigMode(gpu, 0),
            lambda: pynvml.nvmlDeviceCreateGpuInstance(gpu, 9),
            lambda: pynvml.nvmlDeviceGetGpuInstanceById(gpu, 1),
            lambda: nvml.instances(gpu, 9),
            lambda: nvml.placements(gpu, 9),
            lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(gpu),
            lambda: pynvml.nvmlDeviceSetPersistenceMode(gpu, 0),
        ):
            with pytest.raises(pynvml.NVMLError_NoPermission):
                call()
    assert cut.show() == before
    assert (cut.directory / "state").stat().st_mode & 0o777 == 0o644


def test_others_see_gpus_and_mig_devices(cut: SimNode) -> None:
    with as_user(NOBODY), on_node(cut) as nvml:
        gpu = nvml.gpu()
        assert list(pynvml.nvmlDeviceGetMigMode(gpu)) == [1, 1]
        [device] = nvml.mig_devices(gpu)
        assert pynvml.nvmlDeviceGetUUID(device).startswith("MIG-")
        assert pynvml.nvmlDeviceGetComputeRunningProcesses(device) == []


def test_others_see_what_a_gpu_could_be_before_it_is_cut(make_node: Callable[..., SimNode]) -> None:
    """Recorded of an H200 whose MIG mode is off: an ordinary user's answers are root's."""
    node = make_node("2xH200")
    with as_user(NOBODY), on_node(node) as nvml:
        gpu = nvml.gpu()
        with pytest.raises(pynvml.NVMLError_NoPermission):  # the one answer of all that was not root's
            pynvml.nvmlSystemGetNvlinkBwMode()
        assert nvml.placements(gpu, 9) == [(0, 4), (4, 4)]
        assert pynvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, 9) == 2
        assert nvml.instances(gpu, 9) == []
        with pytest.raises(pynvml.NVMLError_NotFound):
            pynvml.nvmlDeviceGetGpuInstanceById(gpu, 1)


def test_others_do_not_reset(cut: SimNode, loaded: Any) -> None:
    with as_user(NOBODY), on_node(cut) as nvml:
        assert loaded.migprovSimResetGpu(nvml.gpu()) == pynvml.NVML_ERROR_NO_PERMISSION
    with as_user(NOBODY), pytest.raises(SimError, match="only the owner"):
        cut.reboot()


def test_an_ordinary_user_is_root_of_his_own_node(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB", owner=NOBODY)
    with as_user(NOBODY), on_node(node) as nvml:
        nvml.create(nvml.cut(), "3g.40gb")
    assert node.write_count() == 2
    assert {path.stat().st_uid for path in node.directory.rglob("*")} == {NOBODY}
    with on_node(node) as nvml:  # and so is the real root
        assert len(nvml.instances(nvml.gpu(), 9)) == 1
