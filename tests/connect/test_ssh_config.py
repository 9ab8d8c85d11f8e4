"""What a target and OpenSSH's configuration come to, and what known_hosts files say."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from migprov import errors
from migprov.connect.known_hosts import KnownHosts
from migprov.connect.ssh import SshConnection
from migprov.connect.ssh_config import Endpoint, resolve
from migprov.connect.target import Target
from migprov.fleet.roll.folder import rolls_folder


@pytest.fixture
def resolved(tmp_path: Path) -> Callable[..., Endpoint]:
    def resolved(config: str, host: str = "gpu1", **options: object) -> Endpoint:
        path = tmp_path / "config"
        path.write_text(config)
        return resolve(Target(host, ssh_config=str(path), **options))  # type: ignore[arg-type]

    return resolved


def test_the_defaults_are_those_of_openssh():
    endpoint = resolve(Target("gpu1", user="ops", ssh_config="none"))
    assert (endpoint.host, endpoint.port, endpoint.user) == ("gpu1", 22, "ops")
    assert endpoint.key_files[0] == str(Path.home() / ".ssh/id_ed25519")
    assert endpoint.known_hosts[0] == str(Path.home() / ".ssh/known_hosts")
    assert not endpoint.keys_are_named


def test_the_configuration_fills_in_and_the_target_wins(resolved):
    config = "Host gpu*\n HostName %h.example.com\n Port 2222\n User ops\n IdentityFile ~/k\n IdentitiesOnly yes\n"
    endpoint = resolved(config)
    assert (endpoint.host, endpoint.port, endpoint.user) == ("gpu1.example.com", 2222, "ops")
    assert endpoint.key_files == (str(Path.home() / "k"),)
    assert endpoint.identities_only
    endpoint = resolved(config, port=22, user="root", key_files=("/k2",), known_hosts="/known")
    assert (endpoint.port, endpoint.user, endpoint.key_files) == (22, "root", ("/k2",))
    assert endpoint.known_hosts == ("/known",)


def test_known_hosts_files_and_alias_of_the_configuration(resolved):
    endpoint = resolved("UserKnownHostsFile /a /b\nGlobalKnownHostsFile none\nHostKeyAlias GPU-Node\n")
    assert (endpoint.known_hosts, endpoint.known_as) == (("/a", "/b"), "gpu-node")


def test_an_alias_stands_in_known_hosts_without_the_port(server, tmp_path: Path):
    key = Path(f"{server.host_keys[0]}.pub").read_text()
    config = tmp_path / "config"
    config.write_text("HostKeyAlias gpu-node\n")
    target = server.target(ssh_config=str(config))
    server.known_hosts.write_text(f"gpu-node {key}")
    SshConnection(target).close()
    other = Path(f"{server.key}.pub").read_text()
    server.known_hosts.write_text(f"gpu-node {other}[gpu-node]:{server.port} {key}")
    with pytest.raises(errors.HostKeyChanged, match=r"host key of gpu-node is .*known_hosts:1 says"):
        SshConnection(target)
    server.known_hosts.write_text("")
    with pytest.raises(errors.HostKeyUnknown, match=r"add it to .*/known_hosts by the name gpu-node \(HostKeyAlias\)"):
        SshConnection(target)


def test_a_user_whom_this_machine_does_not_know(monkeypatch: pytest.MonkeyPatch):
    """As in a container that is started with any number for a user."""
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(errors.BadRequest, match=r"knows no name, or no home folder.* set USER and HOME"):
        resolve(Target("gpu1", user="ops", ssh_config="none"))
    with pytest.raises(errors.BadRequest, match="set HOME, or XDG_STATE_HOME"):
        rolls_folder()


def test_include(resolved, tmp_path: Path):
    (tmp_path / "more.conf").write_text("Host gpu1\n Port 2200\n")
    assert resolved(f"Include {tmp_path}/*.conf\nHost *\n Port 22\n").port == 2200


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("Host gpu1\n Port many\n", "gives no valid port"),
        ('Host "gpu1\n', "cannot be used"),
        ("Host gpu1\n ProxyJump a:b:c\n", "is not a jump host"),
        ("Host gpu1\n HostName -oProxyCommand=x\n", "is not a valid name"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_a_bad_request(resolved, config: str, says: str):
    with pytest.raises(errors.BadRequest, match=says):
        resolved(config)


def test_a_configuration_that_is_not_there_is_a_bad_request(tmp_path: Path):
    with pytest.raises(errors.BadRequest, match="there is no SSH configuration"):
        resolve(Target("gpu1", ssh_config=str(tmp_path / "absent")))


def test_ipv6_jump(resolved):
    (jump,) = resolved("Host gpu1\n ProxyJump ssh://ops@[fd00::1]:2222\n").jumps
    assert (jump.host, jump.port, jump.user) == ("fd00::1", 2222, "ops")


@pytest.mark.parametrize("options", [{"port": 0}, {"user": "a b"}, {"timeout": 0}, {"connection": "telnet"}])
def test_a_target_that_cannot_be(options: dict[str, object]):
    with pytest.raises(errors.BadRequest):
        Target("gpu1", **options)  # type: ignore[arg-type]


# --- known_hosts ----------------------------------------------------------------------------------------

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGtHtMPjTi9EV4EpGhTGu4zDt9bTqEAzuOX2xSCtOIOd"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAILmHfXkYGX2Wdu1nTSUu7RQYFsDz2lyYFfzYIyXuMYcW"


@pytest.fixture
def verdict(tmp_path: Path) -> Callable[..., str]:
    """What a known_hosts file says to KEY: "ok", "unknown", "changed"."""
    import base64

    path = tmp_path / "known_hosts"

    def verdict(text: str, host: str = "gpu1", port: int = 22, hashed: bool = False) -> str:
        path.write_text(text)
        if hashed:
            subprocess.run(["ssh-keygen", "-H", "-f", path], check=True, capture_output=True)
            assert host not in path.read_text()
        try:
            KnownHosts((str(path),), host, port).check("ssh-ed25519", base64.b64decode(KEY), host="gpu1")
        except errors.HostKeyUnknown:
            return "unknown"
        except errors.HostKeyChanged:
            return "changed"
        return "ok"

    return verdict


@pytest.mark.parametrize(
    ("line", "port", "expected"),
    [
        (f"gpu1 ssh-ed25519 {KEY}", 22, "ok"),
        (f"GPU1,10.0.0.1 ssh-ed25519 {KEY} comment here", 22, "ok"),
        (f"gpu1 ssh-ed25519 {OTHER}", 22, "changed"),
        (f"gpu2 ssh-ed25519 {KEY}", 22, "unknown"),
        (f"gpu1 ssh-ed25519 {OTHER}\ngpu1 ssh-ed25519 {KEY}", 22, "ok"),
        (f"gpu* ssh-ed25519 {KEY}", 22, "ok"),
        (f"gpu?,!gpu1 ssh-ed25519 {KEY}", 22, "unknown"),
        (f"[gpu1]:2222 ssh-ed25519 {KEY}", 2222, "ok"),
        (f"[gpu1]:2222 ssh-ed25519 {KEY}", 22, "unknown"),
        (f"[gpu1]:2222 ssh-ed25519 {KEY}", 2223, "unknown"),
        (f"[gpu1]:2222 ssh-ed25519 {OTHER}\ngpu1 ssh-ed25519 {KEY}", 2222, "changed"),
        (f"gpu1 ssh-ed25519 {KEY}", 2222, "ok"),
        (f"gpu1 ssh-ed25519 {OTHER}", 2222, "unknown"),
        (f"gpu1 ssh-ed25519 {KEY}\n@revoked * ssh-ed25519 {KEY}", 22, "changed"),
        (f"@revoked gpu1 ssh-ed25519 {OTHER}", 22, "unknown"),
        (f"@cert-authority * ssh-ed25519 {KEY}", 22, "unknown"),
        (f"# gpu1 ssh-ed25519 {KEY}\n\n junk \n|1|x|y ssh-ed25519 {KEY}\ngpu1 ssh-ed25519 %%%", 22, "unknown"),
    ],
)
def test_known_hosts(verdict, line: str, port: int, expected: str):
    assert verdict(f"{line}\n", port=port) == expected


@pytest.mark.parametrize(("key", "expected"), [(KEY, "ok"), (OTHER, "changed")])
@pytest.mark.parametrize(("name", "port"), [("gpu1", 22), ("[gpu1]:2222", 2222)])
def test_hashed_lines(verdict, name: str, port: int, key: str, expected: str):
    assert verdict(f"{name} ssh-ed25519 {key}\n", port=port, hashed=True) == expected
    assert verdict(f"{name} ssh-ed25519 {key}\n", port=port + 1, hashed=True) == (
        "ok" if (port, expected) == (22, "ok") else "unknown"
    )
