"""Ways to reach a node and to become root on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .plays import VOICE, Ansible

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

LAYOUT = {"name": "Layout", "migprov.gpu.mig_layout": {"config": VOICE}}
INFO = {"name": "Info", "migprov.gpu.mig_info": {}}


@pytest.fixture
def ordinary_user() -> Iterator[str | None]:
    """A user who may use sudo without a password; None: whoever runs the tests, with the node's own sudo."""
    if os.geteuid() != 0:
        yield None
        return
    name = f"migprov{os.getpid()}"
    rule = Path(f"/etc/sudoers.d/{name}")
    # "*": no password fits. Without it the account counts as locked, and sshd lets nobody in.
    subprocess.run(["/usr/sbin/useradd", "--no-create-home", "--shell", "/bin/sh", "--password", "*", name], check=True)
    try:
        rule.touch(mode=0o440)
        rule.write_text(f"{name} ALL=(ALL) NOPASSWD: ALL\n")
        yield name
    finally:
        rule.unlink(missing_ok=True)
        subprocess.run(["/usr/sbin/userdel", name], check=True)


def test_an_ordinary_user_becomes_root(
    ordinary_user: str | None, make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]
) -> None:
    fleet = make_fleet(user=ordinary_user)
    node = fleet.nodes[0]
    ansible = before(fleet)
    if ordinary_user:
        refused = ansible.play([LAYOUT]).of("Layout")
        assert refused.result["error"]["code"] == "no_permission"
        assert "become: true" in refused.result["msg"]
        assert node.sim.write_count() == 0
    run = ansible.play([LAYOUT, INFO], become=True)
    assert run.result("Layout")["changed"]
    assert run.result("Info")["gpus"][1]["mig_current"]
    programs = list((node.root_home / ".cache" / "migprov").glob("*.pyz"))
    assert len(programs) == 1
    assert programs[0].stat().st_mode & 0o077 == 0
    if ordinary_user:
        assert programs[0].stat().st_uid == 0


def test_a_user_who_may_not_become_root(make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]) -> None:
    fleet = make_fleet(sudo="refused")
    run = before(fleet).play([LAYOUT], become=True, env={"ANSIBLE_BECOME_ALLOW_SAME_USER": "1"})
    failed = run.of("Layout")
    assert failed.status == "failed", run.output
    assert failed.result["error"]["code"] == "sudo_refused"
    assert "password" in failed.result["msg"]
    assert fleet.nodes[0].sim.write_count() == 0


def test_a_sudo_that_wants_a_terminal_gets_the_request_as_a_file(fleet: Fleet, ansible: Ansible) -> None:
    node = fleet.nodes[0]
    sudo = node.directory / "bin" / "sudo"
    script = sudo.read_text()
    demand = "[ -t 0 ] || { echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1; }\n"
    sudo.write_text(script.replace("\n", f"\n{demand}", 1))
    same_user = {"ANSIBLE_BECOME_ALLOW_SAME_USER": "1"}
    run = ansible.play([LAYOUT, INFO], become=True, env=same_user)
    assert run.result("Layout")["changed"]
    assert run.result("Info")["gpus"][1]["mig_current"]
    assert list((node.home / ".ansible" / "tmp").iterdir()) == []


def test_a_connection_that_cannot_pipe(fleet: Fleet, ansible: Ansible, tmp_path: Path) -> None:
    """Ansible's ssh with its pipelining taken away, as older and third-party connections have none."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "nopipe.py").write_text(NO_PIPE)
    env = {"ANSIBLE_CONNECTION_PLUGINS": str(plugins)}
    run = ansible.play([LAYOUT, INFO, {**LAYOUT, "name": "Again"}], "-e", "ansible_connection=nopipe", env=env)
    assert run.result("Layout")["changed"]
    assert run.result("Info")["gpus"][1]["mig_current"]
    assert not run.result("Again")["changed"]
    assert list((fleet.nodes[0].home / ".ansible" / "tmp").iterdir()) == []


NO_PIPE = """
from ansible.plugins.connection.ssh import DOCUMENTATION as SSH
from ansible.plugins.connection.ssh import Connection as Ssh

DOCUMENTATION = SSH.replace("name: ssh", "name: nopipe")


class Connection(Ssh):
    transport = "nopipe"
    has_pipelining = False

    def exec_command(self, cmd, in_data=None, sudoable=True):
        assert not in_data, "standard input was used"
        return super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
"""


def test_this_machine(fleet: Fleet, tmp_path: Path) -> None:
    node = fleet.nodes[0]
    ansible = Ansible(tmp_path, None)
    home = tmp_path / "local"
    home.mkdir()
    env = {**node.environment, "HOME": str(home), "PATH": f"{node.directory}/bin:{os.environ['PATH']}"}
    run = ansible.play([INFO, LAYOUT], "-i", "localhost,", connection="local", env=env)
    assert run.result("Layout")["changed"]
    assert [gpu["uuid"] for gpu in run.result("Info")["gpus"]] == [
        gpu["uuid"] for gpu in run.result("Layout")["after"]["gpus"]
    ]
    assert node.sim.write_count() > 0


def test_the_environment_of_the_task_reaches_the_program(fleet: Fleet, ansible: Ansible, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    task = {**INFO, "environment": {"LD_LIBRARY_PATH": str(empty)}, "ignore_errors": True}
    assert ansible.play([task]).of("Info").result["error"]["code"] == "no_driver"


def test_the_interpreter_is_honoured_and_discovery_is_not_needed(ansible: Ansible) -> None:
    interpreters = ["/nowhere/python3", "auto_silent", "/usr/bin/env python3"]
    run = ansible.play(
        [
            {**INFO, "name": each, "vars": {"ansible_python_interpreter": each}, "ignore_errors": True}
            for each in interpreters
        ]
    )
    assert run.of("/nowhere/python3").result["error"]["code"] == "no_python"
    for interpreter in interpreters[1:]:
        assert len(run.result(interpreter)["gpus"]) == 3


def test_a_node_without_python(make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]) -> None:
    run = before(make_fleet(python="missing")).play([INFO])
    assert run.of("Info").result["error"]["code"] == "no_python"
    assert "Traceback" not in run.output


def test_a_connection_that_breaks_during_a_change(fleet: Fleet, ansible: Ansible, tmp_path: Path) -> None:
    """The node sees the change through; who asked for it is told that nobody knows."""
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nssh \"$@\"\necho 'Connection closed by remote host.' >&2\nexit 255\n")
    broken.chmod(0o700)
    layout = {
        "migprov.gpu.mig_layout": {"config": VOICE},
        "vars": {"ansible_ssh_executable": str(broken)},
        "ignore_unreachable": True,
    }
    there = {"name": "The program is there from now on", "migprov.gpu.mig_info": {}}
    run = ansible.play([there, {"name": "Check", **layout, "check_mode": True}, {"name": "Change", **layout}])
    assert (run.of("Check").status, run.of("Change").status) == ("unreachable", "unreachable")
    assert "outcome" not in run.of("Check").result["msg"]
    assert "so the outcome is not known. Next: look with" in run.of("Change").result["msg"]
    assert fleet.nodes[0].sim.write_count() > 0


def test_delegation(make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]) -> None:
    fleet = make_fleet(nodes=2, gpus=["3xA100-80GB", "1xT4"])
    names = [node.name for node in fleet]
    run = before(fleet).play([{**INFO, "delegate_to": names[1]}], hosts=names[0])
    assert len(run.result("Info")["gpus"]) == 1
