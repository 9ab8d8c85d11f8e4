"""Fleets of simulated nodes: real sshd, the real ssh client, and an end that ends just them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from migprov.sim.driver import SimNode
from migprov.sim.nodes import Fleet, FleetNode, SimNodesRequestError, SshdMissingError, open_fleet, up
from migprov.sim.nodes import sshd as sshd_module
from migprov.sim.nodes.processes import Process, identify, offspring

Up = Callable[..., Fleet]


def login(node: FleetNode, command: str, *options: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
    """Log in with the real client, which knows the host keys of the fleet's known_hosts and no others."""
    return subprocess.run(
        [
            *("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={node.known_hosts}"),
            *("-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"),
            *("-i", str(node.key), "-p", str(node.port), *options, f"{user or node.user}@{node.host}", command),
        ],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def answer(node: FleetNode, command: str) -> str:
    done = login(node, command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def three() -> Iterator[Fleet]:
    """Three nodes that are not alike; no test may change them."""
    gpus = ["3xA100-80GB", "2xA100-40GB,1xT4", "1xH100"]
    with (
        tempfile.TemporaryDirectory(prefix="migprov-fleet-") as folder,
        up(Path(folder) / "fleet", nodes=3, gpus=gpus) as fleet,
    ):
        yield fleet


def test_each_node_answers_with_its_own_gpus(three: Fleet) -> None:
    lists = [answer(node, "nvidia-smi -L").splitlines() for node in three]
    names = [[line.split(": ", 1)[1].split(" (UUID")[0] for line in lines] for lines in lists]
    assert [len(each) for each in names] == [3, 3, 1]
    assert all("A100" in name and "80GB" in name for name in names[0])
    assert "T4" in names[1][2]
    assert "H100" in names[2][0]
    uuids = {line.split("UUID: ")[1].rstrip(")") for lines in lists for line in lines}
    assert len(uuids) == 7


def test_a_plain_nvml_program_sees_the_same(three: Fleet) -> None:
    """The library is found by the loader alone."""
    program = (
        'import ctypes; n = ctypes.CDLL("libnvidia-ml.so.1"); c = ctypes.c_uint(); '
        "assert n.nvmlInit_v2() == 0 and n.nvmlDeviceGetCount_v2(ctypes.byref(c)) == 0; print(c.value)"
    )
    assert [answer(node, f"python3 -c '{program}'") for node in three] == ["3", "3", "1"]


def test_each_node_has_a_home_a_path_and_a_key_of_its_own(three: Fleet) -> None:
    assert [answer(node, "echo $HOME; cd; pwd").splitlines() for node in three] == [
        [str(node.home), str(node.home)] for node in three
    ]
    assert {answer(node, "command -v sudo") for node in three} == {str(n.directory / "bin" / "sudo") for n in three}
    assert len({node.host_key for node in three}) == 3
    assert (three.key.stat().st_mode & 0o777) == 0o600


def test_nothing_of_the_callers_environment_is_on_a_node(make_fleet: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "open sesame")
    (node,) = make_fleet(gpus="1xT4").nodes
    assert "sesame" not in answer(node, "env; sudo -n env")


def test_the_wrong_host_key_is_noticed(three: Fleet, tmp_path: Path) -> None:
    first, second, _ = three.nodes
    mixed_up = tmp_path / "known_hosts"
    mixed_up.write_text(f"[{first.host}]:{first.port} {second.host_key}\n")
    done = login(replace(first, known_hosts=mixed_up), "true")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_other_users_and_other_keys_are_refused(three: Fleet, tmp_path: Path) -> None:
    node = three.nodes[0]
    assert login(node, "true", user="daemon").returncode == 255
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "k")], check=True)
    other = replace(node, key=tmp_path / "k")
    assert "Permission denied" in login(other, "true").stderr


def test_ansible_reaches_the_nodes_through_the_inventory(three: Fleet) -> None:
    done = subprocess.run(
        ["ansible", "-i", str(three.inventory), "gpu_nodes", "-m", "ansible.builtin.command", "-a", "nvidia-smi -L"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("UUID: GPU-") == 7


def test_sftp_works(three: Fleet, tmp_path: Path) -> None:
    node = three.nodes[0]
    (tmp_path / "file").write_text("text")
    command = [
        *("scp", "-q", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={node.known_hosts}"),
        *("-o", "GlobalKnownHostsFile=/dev/null", "-i", str(node.key), "-P", str(node.port)),
    ]
    subprocess.run([*command, str(tmp_path / "file"), f"{node.user}@{node.host}:sent-by-scp"], check=True)
    assert (node.home / "sent-by-scp").read_text() == "text"


def left_behind(node: FleetNode) -> Process:
    """Start a process on the node that outlives its session."""
    pid = int(answer(node, "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!"))
    while True:  # until it is what it shall be, not the shell that became it
        process = identify(pid)
        assert process is not None
        if process.exe is not None and "sleep" in process.exe:
            return process


def test_down_ends_just_its_own(make_fleet: Up) -> None:
    one, other = make_fleet(nodes=2, gpus="1xT4"), make_fleet(gpus="1xT4")
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        daemons: list[Process | None] = [left_behind(node) for node in one]
        daemons.append(identify(one.nodes[0].sim.hold(0, 100)))
        session = subprocess.Popen(
            ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={one.known_hosts}",
             "-i", str(one.key), "-p", str(one.nodes[0].port), f"{one.user}@127.0.0.1", "sleep 1000"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        servers = [node.server for node in one]
        one.down()
        assert session.wait(30) == 255
        assert not any(process is not None and process.running for process in [*daemons, *servers])
        assert not one.directory.exists()
        assert other.nodes[0].running
        assert answer(other.nodes[0], "nvidia-smi -L").count("GPU-") == 1
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_another_process_finds_and_ends_the_fleet(make_fleet: Up) -> None:
    fleet = make_fleet(nodes=2, gpus="1xT4")
    found = open_fleet(fleet.directory)
    assert found is not None
    assert found.nodes == fleet.nodes
    assert all(node.running for node in found)
    found.down()
    assert not any(node.running for node in fleet)
    assert open_fleet(fleet.directory) is None


def test_a_recycled_pid_is_never_signalled(make_fleet: Up) -> None:
    """The record names a pid that belongs to somebody else by now."""
    fleet = make_fleet(gpus="1xT4")
    node = fleet.nodes[0]
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        assert node.stop() == []
        record = node.directory / "server.json"
        told = json.loads(record.read_text())
        record.write_text(json.dumps({**told, "pid": bystander.pid}))
        (node.directory / "sshd.pid").write_text(str(bystander.pid))
        found = open_fleet(fleet.directory)
        assert found is not None
        assert found.nodes[0].server is None
        found.down()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_process_is_known_by_more_than_its_pid() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert me.running
    assert not Process(me.pid, me.start - 1, me.exe).running
    assert not Process(me.pid, me.start, "/usr/sbin/sshd").running
    child = subprocess.Popen(["sleep", "1000"])
    try:
        assert child.pid in [process.pid for process in offspring([me])]
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert identify(child.pid) is None  # a zombie
    finally:
        child.kill()
        child.wait()


def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="NOSUCHGPU"):
        up(tmp_path / "fleet", nodes=2, gpus=["1xT4", "9xNOSUCHGPU"])
    assert not (tmp_path / "fleet").exists()


def test_a_start_that_is_broken_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Process | None] = []

    def broken_off(directory: Path, port: int, server: subprocess.Popen[bytes], deadline: float) -> bool:
        started.append(identify(server.pid))
        raise KeyboardInterrupt

    monkeypatch.setattr(sshd_module, "wait", broken_off)
    with pytest.raises(KeyboardInterrupt):
        up(tmp_path / "fleet", nodes=2, gpus="1xT4")
    assert [process is not None and identify(process.pid) for process in started] == [None]
    assert not (tmp_path / "fleet").exists()


def test_a_start_that_is_killed_can_be_ended_and_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            monkeypatch.setattr(SimNode, "create", kill)
            up(tmp_path / "fleet", nodes=2, gpus="1xT4")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert (tmp_path / "fleet" / "nodes").is_dir()
    half = open_fleet(tmp_path / "fleet")
    assert half is not None
    half.down()
    assert not (tmp_path / "fleet").exists()


def test_of_two_starts_in_one_folder_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    def other(*_: object, **__: object) -> None:
        monkeypatch.undo()
        with pytest.raises(SimNodesRequestError) as caught:
            up(tmp_path / "fleet", nodes=1, gpus="1xT4")
        refused.append(str(caught.value))
        raise KeyboardInterrupt

    monkeypatch.setattr(SimNode, "create", other)
    with pytest.raises(KeyboardInterrupt):
        up(tmp_path / "fleet", nodes=1, gpus="1xT4")
    assert refused and "is at work in" in refused[0]
    assert not (tmp_path / "fleet").exists()


@pytest.mark.parametrize("name", ["a%2Fb", "a${HOME}", 'a"b', "file", "file/fleet", "x" * 300])
def test_folders_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SimNodesRequestError):
        up(tmp_path / name, nodes=1, gpus="1xT4")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_use_is_refused(make_fleet: Up, tmp_path: Path) -> None:
    fleet = make_fleet(gpus="1xT4")
    with pytest.raises(SimNodesRequestError, match=r"run in .* already"):
        up(fleet.directory, nodes=1, gpus="1xT4")
    assert fleet.nodes[0].running
    (tmp_path / "precious").write_text("data")
    with pytest.raises(SimNodesRequestError, match="holds no simulated nodes"):
        up(tmp_path, nodes=1, gpus="1xT4")
    assert (tmp_path / "precious").read_text() == "data"


def test_a_folder_whose_nodes_died_is_used_again(make_fleet: Up) -> None:
    fleet = make_fleet(gpus="1xT4")
    server = fleet.nodes[0].server
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    fleet.nodes[0].stop()
    with up(fleet.directory, nodes=1, gpus="1xT4") as again:
        assert answer(again.nodes[0], "nvidia-smi -L").count("GPU-") == 1


def test_a_reboot_ends_what_runs_and_keeps_port_and_key(make_fleet: Up) -> None:
    fleet = make_fleet(gpus="1xT4")
    node = fleet.nodes[0]
    daemon, before = left_behind(node), node.server
    node.reboot()
    assert not daemon.running
    assert node.running
    assert node.server != before
    assert answer(node, "nvidia-smi -L").count("GPU-") == 1
    found = open_fleet(fleet.directory)
    assert found is not None
    assert found.nodes[0].server == node.server


def test_a_port_that_was_taken_is_given_up_for_another(make_fleet: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sshd_module.free_ports
    with socket.socket() as taken:
        taken.bind((sshd_module.ADDRESS, 0))
        taken.listen()
        answers = [[taken.getsockname()[1]]]
        monkeypatch.setattr(sshd_module, "free_ports", lambda count: answers.pop() if answers else real(count))
        fleet = make_fleet(gpus="1xT4")
        assert fleet.nodes[0].port != taken.getsockname()[1]
        assert answer(fleet.nodes[0], "true") == ""
        assert f"[127.0.0.1]:{fleet.nodes[0].port} " in fleet.known_hosts.read_text()


def test_without_an_ssh_server_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sshd_module.version.cache_clear()
    monkeypatch.setattr(sshd_module, "BINARY", tmp_path / "sshd")
    try:
        with pytest.raises(SshdMissingError, match="openssh-server"):
            up(tmp_path / "fleet")
    finally:
        sshd_module.version.cache_clear()
    assert not (tmp_path / "fleet").exists()


def test_a_hundred_nodes(make_fleet: Up) -> None:
    fleet = make_fleet(nodes=100, gpus="1xT4")
    assert len({node.port for node in fleet}) == 100
    assert all(node.running for node in fleet)
    assert [node.name for node in fleet][::99] == ["gpu001", "gpu100"]
    assert answer(fleet.node("gpu100"), "nvidia-smi -L").count("GPU-") == 1


def test_a_node_without_python(make_fleet: Up) -> None:
    (node,) = make_fleet(gpus="1xT4", python="missing").nodes
    assert login(node, "command -v python3 || command -v python").returncode == 1
    assert answer(node, "command -v nvidia-smi") == str(node.sim.directory / "bin" / "nvidia-smi")
    assert login(node, f"{node.interpreter} -c pass").returncode == 127


def test_a_node_with_a_python_of_its_own(make_fleet: Up) -> None:
    python = str(Path(sys.executable).resolve())
    (node,) = make_fleet(gpus="1xT4", python=python).nodes
    where = answer(node, "python3 -c 'import os, sys; print(os.path.realpath(sys.executable))'")
    assert where == python


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    for options in (
        {"nodes": 0},
        {"gpus": []},
        {"user": "no-such-user-here"},
        {"python": "/no/such/python"},
        {"python": "/etc"},
    ):
        with pytest.raises(SimNodesRequestError):
            up(tmp_path / "fleet", **options)  # type: ignore[arg-type]
        assert not (tmp_path / "fleet").exists()
