"""The SSH connection breaks during the request, the work and the reply, before a real sshd."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import migprov
from migprov import layouts
from migprov.errors import ConnectionLost, NodeError
from migprov.sim.nodes.node import running_on

from .proxy import Proxy

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet, FleetNode

CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"
TEXT = """\
version: v1
mig-configs:
  pair:
    - {devices: [0], mig-enabled: true, mig-devices: {3g.40gb: 2}}
  off:
    - {devices: [0], mig-enabled: false}
"""
FILE = layouts.loads(TEXT)


@pytest.fixture
def node(make_fleet: Callable[..., Fleet]) -> FleetNode:
    return make_fleet(nodes=1, gpus="2xA100-80GB").nodes[0]


def client(node: FleetNode, folder: Path, port: int | None = None) -> Any:
    """A connection to the node, through the proxy on `port` if there is one."""
    known = folder / f"known_hosts{port or ''}"
    known.write_text(f"[{node.host}]:{port or node.port} {' '.join(node.host_key.split()[:2])}\n")
    return migprov.connect(
        node.host,
        port=port or node.port,
        user=node.user,
        key_files=[str(node.key)],
        known_hosts=str(known),
        become=True,
        ssh_config="none",
    )


def apply(node: FleetNode, folder: Path, proxy: Proxy) -> str | None:
    """Ask for the pair through the proxy; the code of what went wrong."""
    try:
        with client(node, folder, proxy.port) as there:
            there.layout(FILE.layout("pair"))
    except NodeError as error:
        if isinstance(error, ConnectionLost):
            assert "not known" in str(error) or error.next, error
        return error.code
    return None


def rest(node: FleetNode) -> None:
    """Wait until nothing runs on the node any more but its server."""
    deadline = time.monotonic() + 60
    while [process for process in running_on([node]) if process != node.server]:
        assert time.monotonic() < deadline, "the node does not come to rest"
        time.sleep(0.02)


def must_be_whole(node: FleetNode, folder: Path) -> bool:
    """All or nothing was done, the journal knows, and a further run has the layout. Whether it had been done."""
    rest(node)
    gpus = node.sim.show()["gpus"]
    done = [gi["profile"] for gi in gpus[0]["instances"]] == ["3g.40gb", "3g.40gb"]
    assert done or not node.sim.writes()
    assert gpus[1]["instances"] == []
    journal = node.root_home / ".local/state/migprov/journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    assert [line.get("result") for line in lines if "end" in line] == (["done"] if done else [])
    with client(node, folder) as there:  # at once: the lock is free
        result = there.layout(FILE.layout("pair"))
        assert result.changed is not done
        assert "interrupted" not in result.data
        there.verify(FILE.layout("pair"))
    return done


def begin_again(node: FleetNode, folder: Path, *, installed: bool) -> None:
    """MIG off and no journal; the program there or not."""
    with client(node, folder) as there:
        there.layout(FILE.layout("off"))
    shutil.rmtree(node.root_home / ".local", ignore_errors=True)
    if not installed:
        shutil.rmtree(node.root_home / ".cache", ignore_errors=True)
    node.sim.reset_counters()


@pytest.mark.parametrize("installed", [True, False], ids=["there already", "sent along"])
def test_it_breaks_during_request_or_reply(
    node: FleetNode, tmp_path: Path, installed: bool, tried: Callable[[str, int], None]
) -> None:
    begin_again(node, tmp_path, installed=installed)
    with Proxy(node.port) as free:
        assert apply(node, tmp_path, free) is None
    up, down = free.counts
    ends = []
    points: list[tuple[int | None, int | None]] = [(up * part // 100, None) for part in (10, 60, 85, 97)]
    points += [(None, down - less) for less in (down // 2, 1500, 400, 60)]
    for limits in points:
        begin_again(node, tmp_path, installed=installed)
        with Proxy(node.port, limits) as proxy:
            code = apply(node, tmp_path, proxy)
        done = must_be_whole(node, tmp_path)
        assert code in (None, "connection_lost", "unreachable", "auth"), code
        assert code is not None or done
        ends.append((code, done))
        tried("connection", 1)
    assert ("connection_lost", True) in ends  # it was all done, and the client was not told
    assert (ends[0][0], ends[0][1]) in {("unreachable", False), ("connection_lost", False)}


@pytest.mark.parametrize("how", ["cut", "server"])
@pytest.mark.parametrize("late", [False, True])
def test_it_breaks_during_the_work(
    node: FleetNode, tmp_path: Path, late: bool, how: str, tried: Callable[[str, int], None]
) -> None:
    begin_again(node, tmp_path, installed=True)
    node.sim.fault(0, CREATE, hang_s=1.0, times=1, skip=1, late=late)
    codes: list[str | None] = []
    with Proxy(node.port) as proxy:
        thread = threading.Thread(target=lambda: codes.append(apply(node, tmp_path, proxy)))
        thread.start()
        deadline = time.monotonic() + 60
        while node.sim.counters().get(CREATE, 0) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        if how == "cut":
            proxy.cut()
        else:
            end_sessions(node)
        thread.join()
    assert codes == ["connection_lost"]
    node.sim.clear_faults()
    assert must_be_whole(node, tmp_path)  # a broken connection does not end the program
    tried("connection", 1)


def end_sessions(node: FleetNode) -> None:
    """SIGKILL for the servers of all sessions of the node."""
    import os
    import signal

    for process in running_on([node]):
        if process != node.server and "sshd" in Path(f"/proc/{process.pid}/comm").read_text():
            os.kill(process.pid, signal.SIGKILL)
