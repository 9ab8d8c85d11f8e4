"""The state of many nodes: by migprov, by bare paramiko, by Ansible."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import paramiko

import migprov
from benchmarks.measure import ROOT, more_files, process, tell, timed
from migprov.connect.call import call
from migprov.connect.target import Target
from migprov.fleet import inventory
from migprov.result import Result
from migprov.sim.nodes import Fleet, up

BARE = "bare paramiko, `true`"
PYTHON = "bare paramiko, `python3 -c pass`"
LIBRARY = "migprov: `migprov.run`, each node's `info`"
RECORDED = "migprov: `migprov.run`, each node's reply taken from a file"
COMMAND = "migprov: `migprov info`"
STOCK = "Ansible: `command` (`true`), pipelining"
MODULE = "Ansible: an ordinary module that reads through NVML, pipelining"
OURS = "Ansible: `migprov.gpu.mig_info`, pipelining"


class Nodes:
    """A fleet that is up and has the program, and ways to ask all of it."""

    def __init__(self, fleet: Fleet, folder: Path, forks: int) -> None:
        self.fleet = fleet
        self.forks = forks
        self.targets: list[Target] = list(inventory.read(str(fleet.inventory)))
        self._folder = folder
        self._sockets = count()
        self._config = folder / "ansible.cfg"  # nobody's settings
        self._config.touch()
        self._key = paramiko.Ed25519Key.from_private_key_file(self.targets[0].key_files[0])
        self._known = paramiko.HostKeys(self.targets[0].known_hosts)

    def run(self, targets: Sequence[Target]) -> None:
        """migprov's own way; a node that fails ends the benchmark."""
        migprov.run(targets, _info, forks=self.forks)

    def recorded(self) -> list[Target]:
        """The same nodes, whose Python is a script that gives the recorded reply: what remains is SSH and ours."""
        reply = self._folder / "reply.json"
        script = self._folder / "answer"
        target = self.targets[0]
        with migprov.connect(**_options(target)) as node:
            reply.write_bytes(_raw_reply(node))
        script.write_text(f"#!/bin/sh\nexec cat {reply}\n")
        script.chmod(0o755)
        return [replace(each, python=str(script)) for each in self.targets]

    def bare(self, command: str) -> None:
        """A connection a node, as many at once: the least that anything over SSH from Python costs."""

        def one(target: Target) -> int:
            client = paramiko.SSHClient()
            # Read once; otherwise every connection reads the file anew.
            client._host_keys = self._known  # type: ignore[attr-defined]
            client.connect(
                target.host,
                port=target.port or 22,
                username=target.user,
                pkey=self._key,
                allow_agent=False,
                look_for_keys=False,
            )
            with client:
                _, out, _ = client.exec_command(command)
                out.read()
                return int(out.channel.recv_exit_status())

        with ThreadPoolExecutor(self.forks) as pool:
            if any(pool.map(one, self.targets)):
                raise SystemExit(f"{command} failed on a node")

    def command(self) -> float:
        """`migprov info` as a process."""
        words = [sys.executable, "-m", "migprov.cli", "info", "-i", self.fleet.inventory, "--forks", self.forks]
        return process(words)

    def ansible(self, module: str, arguments: str = "") -> float:
        """An ad-hoc task, over connections of its own as each run of the others has."""
        words: list[object] = [_beside("ansible"), "gpu_nodes", "-i", self.fleet.inventory, "-m", module]
        return process([*words, "-a", arguments, "-o"], self._environment())

    def play(self, tasks: Sequence[str]) -> float:
        """A playbook of these tasks, each a line of YAML."""
        book = self._folder / "play.yml"
        lines = "".join(f"    - {task}\n" for task in tasks)
        book.write_text(f"- hosts: gpu_nodes\n  gather_facts: false\n  tasks:\n{lines}")
        words: list[object] = [_beside("ansible-playbook"), "-i", self.fleet.inventory, book]
        return process(words, self._environment())

    def _environment(self) -> dict[str, str]:
        sockets = self._folder / f"s{next(self._sockets)}"
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(self._config),
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_FORKS": str(self.forks),
            "ANSIBLE_LIBRARY": str(ROOT / "benchmarks" / "library"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".dev"),
            "ANSIBLE_HOME": str(self._folder / "ansible"),
            "ANSIBLE_SSH_ARGS": "-F /dev/null -C -o ControlMaster=auto -o ControlPersist=10s",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
            "ANSIBLE_LOCALHOST_WARNING": "False",
        }


@contextmanager
def nodes(number: int, forks: int, gpus: str = "8xA100-80GB") -> Iterator[Nodes]:
    """`number` simulated nodes, asked once, so that each has the program and its compiled form."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    more_files()
    with tempfile.TemporaryDirectory(prefix="mb-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        tell(f"starting {number} nodes")
        with up(folder / "f", nodes=number, gpus=gpus) as fleet:
            made = Nodes(fleet, folder, forks)
            tell("sending the program to them")
            made.run(made.targets)
            yield made


def ways(made: Nodes, *, ansible: bool, modules: bool) -> dict[str, Callable[[], float]]:
    """The ways to be measured beside each other."""
    recorded = made.recorded()
    found: dict[str, Callable[[], float]] = {
        BARE: lambda: timed(lambda: made.bare("true")),
        LIBRARY: lambda: timed(lambda: made.run(made.targets)),
        RECORDED: lambda: timed(lambda: made.run(recorded)),
        PYTHON: lambda: timed(lambda: made.bare("/usr/bin/python3 -c pass")),
        COMMAND: made.command,
    }
    if ansible:
        found[STOCK] = lambda: made.ansible("command", "true")
    if modules:
        found[MODULE] = lambda: made.ansible("nvml_state")
        found[OURS] = lambda: made.ansible("migprov.gpu.mig_info")
    return found


def _info(node: migprov.Node) -> Result:
    return node.info()


def _options(target: Target) -> dict[str, Any]:
    return {key: value for key, value in vars(target).items() if key != "_"}


def _raw_reply(node: migprov.Node) -> bytes:
    return json.dumps(call(node._connection, node.target, {"protocol": 1, "task": "info", "params": {}})).encode()


def _beside(program: str) -> str:
    return str(Path(sys.executable).with_name(program))
