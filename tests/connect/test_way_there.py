"""Jump hosts, proxy commands and the configuration of OpenSSH's client."""

from __future__ import annotations

import getpass
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migprov import errors
from migprov.connect.call import call
from migprov.connect.ssh import SshConnection
from migprov.connect.target import Target
from migprov.fleet.run import run
from migprov.result import Result
from tests.faults.proxy import Proxy

INFO = {"protocol": 1, "task": "info", "params": {}, "check": False}


def ask(target: Target) -> dict[str, Any]:
    connection = SshConnection(target)
    try:
        return call(connection, target, INFO)
    finally:
        connection.close()


@pytest.fixture
def hops(sshd: Callable[..., Any], tmp_path: Path) -> Any:
    """Three servers and a configuration that knows them as one, two and three; one key lets in everywhere."""
    servers = [sshd() for _ in range(3)]
    lines, known = [], tmp_path / "known_hosts"
    for name, server in zip(("one", "two", "three"), servers, strict=True):
        lines += [f"Host {name}", "HostName 127.0.0.1", f"Port {server.port}"]
        (server.directory / "authorized_keys").write_text(Path(f"{servers[0].key}.pub").read_text())
    known.write_text("".join(server.known_hosts.read_text() for server in servers))
    lines += ["Host *", f"UserKnownHostsFile {known}", f"IdentityFile {servers[0].key}", "IdentitiesOnly yes"]

    class Hops:
        one, two, three = servers
        config = tmp_path / "config"
        known_hosts = known
        key = servers[0].key

        def target(self, host: str = "three", more: str = "", **options: Any) -> Target:
            self.config.write_text(f"{more}\n" + "\n".join(lines) + "\n")
            return Target(host, ssh_config=str(self.config), **{"user": getpass.getuser(), **options})

    return Hops()


def came_from(server: Any) -> int:
    return server.log.read_text().count("Accepted publickey")


def test_the_configuration_is_followed(hops):
    assert ask(hops.target("one"))["task"] == "info"
    assert hops.one.commands() == 2


def test_one_jump(hops):
    assert ask(hops.target(proxy_jump="one"))["task"] == "info"
    assert (came_from(hops.one), hops.one.commands()) == (1, 0)
    assert hops.three.commands() == 2


def test_a_chain_of_jumps_from_the_configuration(hops):
    assert ask(hops.target(more="Host three\nProxyJump one,two"))["task"] == "info"
    assert [came_from(server) for server in (hops.one, hops.two, hops.three)] == [1, 1, 1]


def test_a_jump_host_has_a_jump_host_of_its_own(hops):
    assert ask(hops.target(more="Host three\nProxyJump two\nHost two\nProxyJump one"))["task"] == "info"
    assert [came_from(server) for server in (hops.one, hops.two, hops.three)] == [1, 1, 1]


def test_the_targets_own_way_wins(hops):
    assert ask(hops.target(more="Host three\nProxyJump one", proxy_jump="none"))["task"] == "info"
    assert came_from(hops.one) == 0


def test_jumps_in_a_circle_are_a_bad_request(hops):
    with pytest.raises(errors.BadRequest, match="in a circle"):
        ask(hops.target(more="Host three\nProxyJump one\nHost one\nProxyJump three"))


def test_the_host_key_of_a_jump_host_is_checked(hops):
    hops.known_hosts.write_text(hops.three.known_hosts.read_text())
    with pytest.raises(errors.HostKeyUnknown, match=rf"\[127.0.0.1\]:{hops.one.port}"):
        ask(hops.target(proxy_jump="one"))


def test_a_jump_host_that_refuses_the_key_is_named(hops):
    (hops.one.directory / "authorized_keys").write_text("")
    with pytest.raises(errors.AuthFailed, match=f"@127.0.0.1 port {hops.one.port} refused"):
        ask(hops.target(proxy_jump="one"))


def test_a_jump_host_that_cannot_reach_the_node(hops):
    hops.three.stop()
    with pytest.raises(errors.Unreachable, match=f"jump host .* cannot connect to 127.0.0.1 port {hops.three.port}"):
        ask(hops.target(proxy_jump="one"))


def test_a_jump_host_that_takes_few_logins_at_once_is_the_way_to_many_nodes(sshd, tmp_path):
    node, jump = sshd(more=["MaxStartups 100"]), sshd(more=["MaxStartups 12:100:12"])
    (jump.directory / "authorized_keys").write_text(Path(f"{node.key}.pub").read_text())
    config, known = tmp_path / "config", tmp_path / "known_hosts"
    known.write_text(node.known_hosts.read_text() + jump.known_hosts.read_text())
    config.write_text(f"Host jump\nHostName 127.0.0.1\nPort {jump.port}\nUser {getpass.getuser()}\n")
    way = {"ssh_config": str(config), "known_hosts": str(known), "proxy_jump": "jump"}
    targets = [node.target(name=f"gpu{number}", **way) for number in range(24)]
    results = run(targets, lambda node: Result(node.name, "nothing"), forks=24)
    assert [result.error for result in results.values()] == [None] * 24


class Choosy(Proxy):
    """Turns the first two connections away at the door."""

    seen = 0

    def _pass(self, client: socket.socket, server: socket.socket) -> bool:
        self.seen += 1
        if self.seen > 2:
            return super()._pass(client, server)
        for end in (client, server):
            end.close()
        return False


def test_a_jump_host_that_turns_a_login_away_is_asked_again_and_a_node_is_not(hops):
    with Choosy(hops.one.port) as door:
        hops.one.know(hops.one.host_keys[0], name=f"[127.0.0.1]:{door.port}")
        with hops.known_hosts.open("a") as known:
            known.write(hops.one.known_hosts.read_text())
        door_in_front = f"Host one\nPort {door.port}"
        with pytest.raises(errors.Unreachable, match="closed the connection before any greeting; nothing was changed"):
            SshConnection(hops.target("one", door_in_front))
        assert door.seen == 1
        assert ask(hops.target(more=door_in_front, proxy_jump="one"))["task"] == "info"
        assert door.seen == 3


def test_a_proxy_command_of_the_configuration(hops):
    # %h and %p are those of the target, which the configuration does not know.
    way = f"ssh -F {hops.config} -W %h:%p {getpass.getuser()}@one"
    target = hops.target("127.0.0.1", f"Host 127.0.0.1\nProxyCommand {way}", port=hops.three.port)
    hops.config.write_text(hops.config.read_text().replace("Host one\n", "Host one\nProxyCommand none\n"))
    assert ask(target)["task"] == "info"
    assert (came_from(hops.one), hops.three.commands()) == (1, 2)


def test_a_proxy_command_that_fails_says_why(hops):
    with pytest.raises(errors.Unreachable, match="the proxy command failed: no way from here"):
        ask(hops.target(proxy_command="echo no way from here >&2; false"))


def test_a_proxy_command_ends_with_the_connection(hops):
    target = hops.target(proxy_command=f"ssh -F {hops.config} -W %h:%p {getpass.getuser()}@one")
    connection = SshConnection(target)
    process = connection._route.proxy._process
    assert process.poll() is None
    connection.close()
    assert process.poll() is not None


def test_ctrl_c_of_a_terminal_does_not_end_a_proxy_command(hops):
    target = hops.target(proxy_command=f"ssh -F {hops.config} -W %h:%p {getpass.getuser()}@one")
    connection = SshConnection(target)
    proxy = connection._route.proxy
    os.kill(proxy._process.pid, signal.SIGINT)
    assert call(connection, target, INFO)["task"] == "info"
    assert connection._route.proxy is proxy  # and no other, by a connection made anew
    connection.close()


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", "a;reboot", "$(reboot)", "a\nb"])
def test_host_names_that_a_shell_would_read_are_refused(host: str):
    with pytest.raises(errors.BadRequest, match="is not a valid name"):
        Target(host)
