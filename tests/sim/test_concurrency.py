"""Several processes on one node: nothing tears, and a dead one blocks nobody."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import select
import signal
import threading
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from migprov.sim.driver import SimNode

from .conftest import on_node

ROUNDS = 400
WHERE = ("state", "other")
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


def test_a_process_forked_while_other_threads_call_can_call(make_node: Callable[..., SimNode]) -> None:
    over = threading.Event()

    def call_without_end() -> None:
        while not over.is_set():
            pynvml.nvmlDeviceGetCount()

    def call_once() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # ends the process if it waits for a lock that nobody frees
        pynvml.nvmlDeviceGetCount()

    with on_node(make_node("1xA100-80GB")):
        threads = [threading.Thread(target=call_without_end) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                assert os.waitpid(in_child(call_once), 0)[1] == 0
        finally:
            over.set()
            for thread in threads:
                thread.join()


def test_a_thread_that_ends_its_use_while_another_begins(make_node: Callable[..., SimNode], loaded: Any) -> None:
    node = make_node("1xA100-80GB")
    with on_node(node):
        pass
    node.fault(None, "nvmlInitWithFlags", hang_s=WAIT_S, times=1)
    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(loaded.nvmlInitWithFlags(0)))
    before = node.counters()["nvmlInitWithFlags"]
    slow.start()
    while node.counters()["nvmlInitWithFlags"] == before:
        pass
    assert (loaded.nvmlInit_v2(), loaded.nvmlShutdown()) == (0, 0)
    slow.join()
    count = ctypes.c_uint()
    assert (answers, loaded.nvmlDeviceGetCount_v2(ctypes.byref(count)), loaded.nvmlShutdown()) == ([0], 0, 0)


@pytest.mark.parametrize("moves", ["the process", "the node"])
def test_a_forked_process_locks_for_itself_wherever_either_moves(make_node: Callable[..., SimNode], moves: str) -> None:
    node = make_node("1xA100-80GB")
    counted, done = os.pipe()
    before = os.getcwd()
    os.chdir(node.directory)
    try:
        os.environ["MIGPROV_SIM_STATE"] = "state"
        pynvml.nvmlInit()
        os.rename("state", "other") if moves == "the node" else os.chdir(node.directory / "lib")
        [own] = [int(fd) for fd in os.listdir("/proc/self/fd") if is_state(node, fd)]
        fcntl.flock(own, fcntl.LOCK_EX)
        waiting = counting_child(done)
        try:
            assert not said(counted)
        finally:
            fcntl.flock(own, fcntl.LOCK_UN)
        assert os.read(counted, 1) == b"x"
        assert os.waitpid(waiting, 0)[1] == 0
        pynvml.nvmlShutdown()
    finally:
        if moves == "the node":
            os.rename(node.directory / "other", node.directory / "state")
        os.chdir(before)


def is_state(node: SimNode, fd: str) -> bool:
    return os.path.realpath(f"/proc/self/fd/{fd}") in {str((node.directory / name).resolve()) for name in WHERE}


def test_a_process_that_closes_all_files_goes_on_calling(make_node: Callable[..., SimNode]) -> None:
    """As programs do that go into the background. What they open then has the numbers of what was closed."""
    node = make_node("1xA100-80GB")

    def work() -> None:
        os.closerange(3, 256)
        mine = [os.open(os.devnull, os.O_RDWR) for _ in range(8)]
        assert pynvml.nvmlDeviceGetCount() == 1
        assert [os.fstat(fd).st_rdev for fd in mine] == [os.stat(os.devnull).st_rdev] * 8
        pynvml.nvmlShutdown()
        assert [os.fstat(fd).st_rdev for fd in mine] == [os.stat(os.devnull).st_rdev] * 8
        assert [int(fd) for fd in os.listdir("/proc/self/fd") if is_state(node, fd)] == []

    with on_node(node):
        assert os.waitpid(in_child(work), 0)[1] == 0


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
