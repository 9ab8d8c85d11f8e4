"""Processes that are hard to see: zombies, threads that outlive the first, namespaces, roots of their own."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov.node import processes
from migprov.sim.build import compiler

from .background import until
from .conftest import Machine, entry
from .test_holders import holders, needs_root

THREADED = """
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *work(void *at) { for (;;) pause(); return at; }
int main(int count, char **names) {
    pthread_t thread;
    if (count != 2 || open(names[1], O_RDONLY) < 0 || pthread_create(&thread, 0, work, 0)) return 1;
    puts("begun");
    fflush(stdout);
    pthread_exit(0);
}
"""


def test_a_process_whose_first_thread_has_ended_goes_on_holding(machine, tmp_path):
    """The kernel calls it a zombie and shows its open files below its other threads alone."""
    (tmp_path / "threaded.c").write_text(THREADED)
    subprocess.run([*compiler(), "-o", tmp_path / "threaded", tmp_path / "threaded.c", "-pthread"], check=True)
    node = machine()
    device = str(Path(node.env()["MIGPROV_DEV"]) / "nvidia0")
    with subprocess.Popen([tmp_path / "threaded", device], stdout=subprocess.PIPE) as child:
        try:
            until(lambda: ") Z" in Path(f"/proc/{child.pid}/stat").read_text(), "the end of its first thread")
            assert holders(node)[child.pid]["kind"] == "open"
            reply = node.call("mig_mode", enabled=True, drain={"policy": "terminate", "timeout_s": 60})
        finally:
            child.kill()
    assert reply["error"] is None and reply["steps"][0]["pid"] == child.pid


def test_a_zombie_holds_nothing(machine):
    node = machine()
    code = """
import subprocess, sys
device = open(sys.argv[1])
child = subprocess.Popen(["sleep", "600"], stdin=device)
print(child.pid, flush=True)
child.kill()
sys.stdin.read()
child.wait()
"""
    device = str(Path(node.env()["MIGPROV_DEV"]) / "nvidia0")
    with subprocess.Popen(
        [sys.executable, "-c", code, device], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        zombie = int(parent.stdout.readline())
        until(lambda: ") Z" in Path(f"/proc/{zombie}/stat").read_text(), "a zombie")
        assert list(holders(node)) == [parent.pid]
        parent.communicate("")


@contextlib.contextmanager
def pid_namespace(*options: str) -> Iterator[list[str]]:
    """The words that start a program in a pid namespace of its own."""
    words = ["unshare", "--pid", "--fork", "--kill-child", *options, "--"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us make no pid namespace")
    yield words


@needs_root
def test_a_process_in_a_pid_namespace_is_seen_from_the_host(machine):
    node = machine()
    code = """
import sys
from migprov.sim.driver import SimNode
print(int(SimNode.open(sys.argv[1]).hold(0, 77)), flush=True)
sys.stdin.read()
"""
    with (
        pid_namespace() as words,
        subprocess.Popen(
            [*words, sys.executable, "-c", code, str(node.sim.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as outside,
    ):
        assert outside.stdout is not None
        pid = int(outside.stdout.readline())
        found = holders(node)[pid]
        assert Path(f"/proc/{pid}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[0] == str(pid)
        assert (found["memory_mib"], found["command"]) == (77, "migprov-holder")
        reply = node.call("layout", entries=[entry("7g.80gb")], drain="terminate")
        assert reply["error"] is None, reply["error"]
        outside.communicate("")


@needs_root
def test_a_process_with_a_root_of_its_own_is_seen_by_the_kind_of_its_device(tmp_path):
    """From outside, /proc shows the whole path of what it opened as /dev/nvidia3."""
    (tmp_path / "dev").mkdir()
    os.mknod(tmp_path / "dev" / "nvidia3", 0o600 | stat.S_IFCHR, os.makedev(195, 3))
    (tmp_path / "dev" / "nvidia4").touch()
    for name, found in (("nvidia3", ["nvidia3"]), ("nvidia4", None)):
        held = os.open(tmp_path / "dev" / name, os.O_PATH)  # no driver: that it is named is all that counts
        try:
            assert processes.open_files("/dev/").get(os.getpid()) == found
        finally:
            os.close(held)


@needs_root
def test_a_process_outside_of_our_own_pid_namespace_is_listed_with_its_memory(machine):
    node = machine()
    pid = node.sim.hold(0, 77)
    with pid_namespace("--mount-proc") as words:
        info = inside(node, words, "info")["after"]["gpus"][0]["processes"]
        assert [(p["pid"], p["memory_mib"], p["start_ticks"]) for p in info] == [(pid, 77, None)]
        for policy in ("refuse", "terminate"):
            error = inside(node, words, "layout", entries=[entry("7g.80gb")], drain=policy)["error"]
            assert error["code"] == "gpu_busy" and str(int(pid)) in error["message"]
        assert "pid namespace" in error["message"]
    assert pid.alive and node.sim.write_count() == 0


def inside(machine: Machine, words: list[str], task: str, **params: Any) -> dict[str, Any]:
    """The reply of the node program started by these words."""
    request = {"protocol": 1, "task": task, "params": params, "wait_s": 0}
    done = subprocess.run(
        [*words, sys.executable, "-S", "-E", str(machine.pyz)],
        input=json.dumps(request).encode(),
        capture_output=True,
        env=machine.env(),
        check=True,
    )
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply
