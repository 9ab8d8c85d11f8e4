"""Jump hosts, proxy commands and the configuration of OpenSSH's client."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migprov import errors
from migprov.connect.call import call
from migprov.connect.ssh import SshConnection
from migprov.connect.target import Target

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


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", "a;reboot", "$(reboot)", "a\nb"])
def test_host_names_that_a_shell_would_read_are_refused(host: str):
    with pytest.raises(errors.BadRequest, match="is not a valid name"):
        Target(host)
