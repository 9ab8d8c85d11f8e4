"""The simulated node's sudo, by the real one where root runs the nodes, and nodes of ordinary users."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from migprov.sim.build import library
from migprov.sim.nodes import Fleet, FleetNode, SimNodesRequestError, up
from migprov.sim.nodes.processes import identify
from migprov.sim.nodes.sudo import script

ROOT = Path(__file__).resolve().parents[2]
USER = f"migprov-{os.getpid()}"  # runs beside others
Up = Callable[..., Fleet]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run nodes for another user")


def login(node: FleetNode, command: str) -> subprocess.CompletedProcess[str]:
    options = ("-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={node.known_hosts}")
    where = ("-i", str(node.key), "-p", str(node.port), f"{node.user}@{node.host}")
    return subprocess.run(
        ["ssh", *options, "-o", "GlobalKnownHostsFile=/dev/null", *where, command],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@contextlib.contextmanager
def ordinary_user(*, sudo: bool) -> Iterator[str]:
    """A user of this machine for one test, with or without sudo rights (NOPASSWD)."""
    rights = Path("/etc/sudoers.d") / USER
    # '*' is no password; '!' would be a locked account, which sshd refuses.
    subprocess.run(["useradd", "-M", "-d", "/nonexistent", "-s", "/bin/sh", "-p", "*", USER], check=True)
    try:
        if sudo:
            rights.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
            rights.chmod(0o440)
        yield USER
    finally:
        rights.unlink(missing_ok=True)
        # Its nodes may be ending still.
        subprocess.run(["userdel", "--force", USER], check=True, capture_output=True)


@pytest.fixture(scope="module")
def node() -> Iterator[FleetNode]:
    with (
        tempfile.TemporaryDirectory(prefix="migprov-fleet-") as folder,
        up(Path(folder) / "fleet", nodes=1, gpus="2xT4") as fleet,
    ):
        yield fleet.nodes[0]


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-n",
        "-n -H --",
        "-nH",
        "-H -S -n -u root",
        "-nu root",
        "-uroot",
        "--user=root -n",
        "--user root",
        "-u '#0' -n",
    ],
)
def test_root_of_the_node_is_still_on_the_node(node: FleetNode, options: str) -> None:
    done = login(node, f"sudo {options} sh -c 'echo $HOME; nvidia-smi -L | wc -l; command -v sudo'")
    assert done.stdout.split() == [str(node.root_home), "2", str(node.directory / "bin" / "sudo")], done.stderr


@pytest.mark.parametrize("words", [["a b", "c'd", '"', "$HOME", "", "*", "-n", "--", "x=y"], ["\n", "\\", "`id`"]])
def test_arguments_arrive_as_they_were(node: FleetNode, words: list[str]) -> None:
    command = shlex.join(["sudo", "-n", "-H", "--", "printf", "%s|", *words])
    assert login(node, command).stdout == "".join(f"{word}|" for word in words)


def test_the_status_and_the_input_go_through(node: FleetNode) -> None:
    assert login(node, "sudo -n sh -c 'exit 7'").returncode == 7
    assert login(node, "echo text | sudo -n cat").stdout == "text\n"


def test_a_user_that_is_not_there(node: FleetNode) -> None:
    done = login(node, "sudo -n -u no-such-user true")
    assert done.returncode == 1
    assert "no-such-user" in done.stderr


@pytest.mark.parametrize("options", ["-n -H --", "-nH", ""])
def test_refused(make_fleet: Up, options: str) -> None:
    (refusing,) = make_fleet(gpus="1xT4", sudo="refused").nodes
    done = login(refusing, f"sudo {options} touch {refusing.home}/written")
    assert done.returncode == 1
    assert "sudo: a password is required" in done.stderr
    assert not (refusing.home / "written").exists()


def test_the_simulated_one_becomes_root_of_the_node_alone(make_fleet: Up) -> None:
    (own,) = make_fleet(gpus="2xT4", sudo="simulated").nodes
    done = login(own, "sudo -n -H -u root sh -c 'id -un; echo $HOME; nvidia-smi -L | wc -l'")
    assert done.stdout.split() == [own.user, str(own.root_home), "2"]
    refused = login(own, "sudo -n -u daemon id")
    assert (refused.returncode, refused.stderr.strip()) == (1, "sudo: unknown user daemon")


def test_names_with_odd_characters_are_quoted() -> None:
    for kind in ("real", "simulated", "refused"):
        text = script(kind, login="u", home="/a b'c", root_home="/r $(id)", environment={"X": "y; touch z"})
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    assert "'X=y; touch z'" in script("real", login="u", home="/h", root_home="/r", environment={"X": "y; touch z"})


@as_root
def test_another_user_logs_in_and_becomes_root(make_fleet: Up) -> None:
    with ordinary_user(sudo=True) as user:
        (node,) = make_fleet(gpus="2xT4", user=user).nodes
        done = login(node, "id -un; echo $HOME; touch ~/mine; nvidia-smi -L | wc -l")
        assert done.stdout.split() == [user, str(node.home), "2"], done.stderr
        assert (node.home / "mine").stat().st_uid == pwd.getpwnam(user).pw_uid
        done = login(node, "sudo -n -H -- sh -c 'id -un; echo $HOME; nvidia-smi -L | wc -l'")
        assert done.stdout.split() == ["root", str(node.root_home), "2"], done.stderr
        daemon = login(node, "sudo -n setsid sleep 1000 >/dev/null 2>&1 </dev/null & sleep 0.1; echo")
        assert daemon.returncode == 0
        assert node.stop() == []
        assert node.processes() == []


@as_root
def test_another_user_without_rights_is_refused_by_the_real_sudo(make_fleet: Up) -> None:
    with ordinary_user(sudo=False) as user:
        (node,) = make_fleet(gpus="1xT4", user=user).nodes
        done = login(node, "sudo -n -H -- true")
        assert done.returncode == 1
        assert "sudo: a password is required" in done.stderr


@as_root
def test_a_folder_that_the_user_cannot_reach_is_refused() -> None:
    with ordinary_user(sudo=False) as user, tempfile.TemporaryDirectory(prefix="migprov-fleet-") as folder:
        with pytest.raises(SimNodesRequestError, match=f"{user} cannot pass through {folder}"):
            up(Path(folder) / "fleet", nodes=1, gpus="1xT4", user=user)
        assert list(Path(folder).iterdir()) == []


def interpreter_for_all() -> str:
    """An interpreter like ours that every user of the machine may run, or a skip that says what is missing."""
    versions = sys.version_info[:2]
    for python in ("/usr/bin/python3", "/usr/local/bin/python3", sys.executable):
        path = Path(python)
        closed = [
            p for p in (path.resolve(), *path.resolve().parents) if path.exists() and not p.stat().st_mode & 0o001
        ]
        if not path.exists() or closed:
            continue
        probe = [python, "-c", "import sys; print(*sys.version_info[:2])"]
        answer = subprocess.run(probe, capture_output=True, text=True, check=False).stdout.split()
        if answer == [str(part) for part in versions]:
            return python
    pytest.skip(f"no Python {versions[0]}.{versions[1]} on this machine that an ordinary user may run")


@as_root
def test_nodes_of_an_ordinary_user() -> None:
    """No root anywhere: the user's own sshd, and the user is root of the simulated machine."""
    python = interpreter_for_all()
    packages = sysconfig.get_paths()["purelib"]
    closed = [str(folder) for folder in (ROOT, *ROOT.parents) if not folder.stat().st_mode & 0o001]
    if closed:
        pytest.skip(f"an ordinary user cannot read this checkout: {closed[-1]} is closed to others")
    program = (
        "import sys; from migprov.sim.nodes import up\n"
        "fleet = up(sys.argv[1], nodes=2, gpus='2xA100-80GB')\n"
        "print(fleet.nodes[0].sudo)"
    )
    with ordinary_user(sudo=False) as user, tempfile.TemporaryDirectory(prefix="migprov-user-") as folder:
        Path(folder).chmod(0o755)
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": folder,
            "PYTHONPATH": f"{ROOT}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

        # What is compiled already need not be compiled once more.
        shutil.copytree(library().parent, Path(folder) / ".cache/migprov/sim" / library().parent.name)

        def as_user(*command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command],
                capture_output=True, text=True, check=False, env=environment, cwd=folder,
            )  # fmt: skip

        started = as_user(python, "-c", program, f"{folder}/fleet")
        assert started.stdout == "simulated\n", started.stderr
        listed = as_user(python, "-m", "migprov.cli", "info", "-i", f"{folder}/fleet/inventory.yml", "--json")
        ended = as_user(python, "-m", "migprov.cli", "sim", "down", "--dir", f"{folder}/fleet")
        assert listed.returncode == 0, listed.stdout + listed.stderr
        assert listed.stdout.count("A100-80GB") >= 4
        assert ended.returncode == 0, ended.stderr
        assert not Path(folder, "fleet").exists()
        ps = ["ps", "-u", user, "-o", "pid="]
        left = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.split()
        assert [identify(int(pid)) for pid in left] == [None] * len(left)  # none, or not yet reaped
