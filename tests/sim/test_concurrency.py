"""Several processes on one node: nothing tears, and a dead one blocks nobody."""

from __future__ import annotations

import fcntl
import os
import random
import signal
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode

from .conftest import on_node

ROUNDS = 150


def churn(node: SimNode, seed: int, rounds: int | None = ROUNDS) -> None:
    """Create and destroy at random, taking every refusal but these two as a failure."""
    chance = random.Random(seed)
    mine: list[Any] = []
    with on_node(node) as nvml:
        gpu = nvml.gpu()
        while rounds is None or rounds > 0:
            rounds = None if rounds is None else rounds - 1
            if mine and chance.random() < 0.5:
                pynvml.nvmlGpuInstanceDestroy(mine.pop())
                continue
            try:
                made = pynvml.nvmlDeviceCreateGpuInstance(gpu, chance.choice((19, 14, 9, 15)))
            except pynvml.NVMLError_InsufficientResources:
                continue
            assert pynvml.nvmlGpuInstanceGetInfo(made).placement.size
            mine.append(made)


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked process; returns its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def spans(node: SimNode) -> list[int]:
    """The memory slices in use, one entry for each instance on each."""
    return [
        slice_
        for instance in node.show()["gpus"][0]["instances"]
        for slice_ in range(instance["start"], instance["start"] + instance["size"])
    ]


def test_processes_at_once(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    with on_node(node) as nvml:
        nvml.cut()  # the library is loaded and in use when it is forked
        children = [in_child(lambda seed=seed: churn(node, seed)) for seed in range(4)]
        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    used = spans(node)
    assert len(used) == len(set(used))
    done = [write["call"] for write in node.writes() if write["result"] == 0]
    made = done.count("nvmlDeviceCreateGpuInstance") - done.count("nvmlGpuInstanceDestroy")
    assert made == len(node.show()["gpus"][0]["instances"])
    assert node.write_count() == len(node.writes())


def test_a_process_that_dies_with_the_lock(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    ready, tell = os.pipe()

    def hold_the_lock() -> None:
        fd = os.open(node.directory / "state", os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(tell, b"x")
        signal.pause()

    child = in_child(hold_the_lock)
    try:
        assert os.read(ready, 1) == b"x"
        with open(node.directory / "state", "rb") as mine, pytest.raises(BlockingIOError):
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with on_node(node) as nvml:
        nvml.create(nvml.cut(), "3g.40gb")


def test_killed_anywhere_it_leaves_a_sound_state(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    with on_node(node) as nvml:
        gpu = nvml.cut()
        for seed in range(10):
            child = in_child(lambda seed=seed: churn(node, seed, rounds=None))
            while node.write_count() < 20:
                pass
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            used = spans(node)
            assert len(used) == len(set(used))
            for profile in nvml.profiles(gpu).values():
                for instance in nvml.instances(gpu, profile.id):
                    pynvml.nvmlGpuInstanceDestroy(instance)
            assert spans(node) == []
            node.reset_counters()
