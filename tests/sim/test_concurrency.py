"""Several processes on one node: nothing tears, and a dead one blocks nobody."""

from __future__ import annotations

import fcntl
import os
import random
import select
import signal
from collections.abc import Callable
from typing import Any

import pynvml

from migprov.sim.driver import SimNode

from .conftest import on_node

ROUNDS = 400
WAIT_S = 0.3  # how long a call that should wait for the lock is watched; a slow machine cannot make it fail


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


def counting_child(done: int) -> int:
    """A process that makes one call and then says so."""

    def work() -> None:
        pynvml.nvmlDeviceGetCount()
        os.write(done, b"x")

    return in_child(work)


def said(pipe: int) -> bool:
    return bool(select.select([pipe], [], [], WAIT_S)[0])


def test_a_process_that_dies_with_the_lock(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xA100-80GB")
    (ready, tell), (counted, done) = os.pipe(), os.pipe()

    def hold_the_lock() -> None:
        fd = os.open(node.directory / "state", os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(tell, b"x")
        signal.pause()

    with on_node(node):
        owner = in_child(hold_the_lock)
        try:
            assert os.read(ready, 1) == b"x"
            waiting = counting_child(done)
            assert not said(counted)
        finally:
            os.kill(owner, signal.SIGKILL)
            os.waitpid(owner, 0)
        assert os.read(counted, 1) == b"x"
        assert os.waitpid(waiting, 0)[1] == 0


def test_a_forked_process_locks_for_itself(make_node: Callable[..., SimNode]) -> None:
    """A lock is shared with what is forked, so the library must not use the one that it inherits."""
    counted, done = os.pipe()
    with on_node(make_node("1xA100-80GB")) as nvml:
        path = os.path.realpath(nvml.node.directory / "state")
        [own] = [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{fd}") == path]
        fcntl.flock(own, fcntl.LOCK_EX)  # with the library's own descriptor
        waiting = counting_child(done)
        try:
            assert not said(counted)
        finally:
            fcntl.flock(own, fcntl.LOCK_UN)
        assert os.read(counted, 1) == b"x"
        assert os.waitpid(waiting, 0)[1] == 0


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
