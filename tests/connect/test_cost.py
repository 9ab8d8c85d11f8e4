"""What a call costs in terms of SSH, as the server counts it: connections, logins, channels, commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migprov.cli.main import run
from migprov.connect.node import open_node
from migprov.sim.driver import SimNode


class Cost(NamedTuple):
    """What a server has seen."""

    connections: int
    logins: int
    channels: int
    commands: int


@pytest.fixture
def node(sshd: Callable[..., Any], tmp_path: Path) -> Any:
    """A server before a simulated driver, which writes down every channel."""
    sim = SimNode.create(tmp_path / "machine", gpus="2xA100-80GB")
    environment = sim.env({"PATH": "/usr/bin:/bin"})
    return sshd(environment=environment, more=["LogLevel DEBUG1", "MaxStartups 100"])


def cost(server: Any) -> Cost:
    log = server.log.read_text()
    return Cost(
        log.count("\nConnection from "),
        log.count("\nAccepted publickey for "),
        log.count("server_input_channel_open: ctype "),
        server.commands(),
    )


def test_first_contact_takes_two_channels_and_each_further_call_one(node):
    with open_node(node.target()) as opened:
        assert len(opened.info().after["gpus"]) == 2
        assert cost(node) == Cost(connections=1, logins=1, channels=2, commands=2)
        opened.usage()
        opened.layout([{"device_filter": None, "devices": [0], "mig_enabled": True, "instances": []}])
        assert cost(node) == Cost(connections=1, logins=1, channels=4, commands=4)
    with open_node(node.target()) as opened:
        opened.info()
    assert cost(node) == Cost(connections=2, logins=2, channels=5, commands=5)


@pytest.fixture
def inventory(node: Any, tmp_path: Path) -> Path:
    """Three hosts, all of them that server, which has the program."""
    with open_node(node.target()) as opened:
        opened.info()
    path = tmp_path / "inventory"
    about = (
        f"ansible_host=127.0.0.1 ansible_port={node.port} ansible_ssh_private_key_file={node.key} "
        f"ansible_ssh_common_args='-F none -o UserKnownHostsFile={node.known_hosts}'"
    )
    path.write_text("".join(f"gpu{number} {about}\n" for number in (1, 2, 3)))
    return path


LAYOUT = """\
version: v1
mig-configs:
  seven:
    - {devices: [0], mig-enabled: true, mig-devices: {1g.10gb: 7}}
"""


@pytest.mark.parametrize(
    ("command", "nodes", "code"),
    [
        ("info", 3, 0),
        ("export", 3, 0),
        ("verify FILE seven", 3, 2),
        ("apply FILE seven --check", 3, 0),
        ("apply FILE seven --limit gpu1", 1, 0),
        ("history", 3, 0),
    ],
)
def test_a_command_over_nodes_costs_one_connection_and_one_channel_each(
    node, inventory, tmp_path, capfd, command: str, nodes: int, code: int
):
    (tmp_path / "layouts.yml").write_text(LAYOUT)
    before = cost(node)
    words = command.replace("FILE", str(tmp_path / "layouts.yml")).split()
    assert run([*words, "-i", str(inventory)]) == code, capfd.readouterr()
    assert [now - then for now, then in zip(cost(node), before, strict=True)] == [nodes] * 4
