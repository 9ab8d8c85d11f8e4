"""The ground on which rolls are disturbed: simulated nodes behind real OpenSSH, put back to the start between cases."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from migprov.sim.nodes import Fleet, FleetNode, up
from migprov.sim.nodes import processes as running
from migprov.sim.nodes.node import MARK

from .rolls_moments import HOOKS, Moments

ROOT = Path(__file__).resolve().parents[2]
NAME = "halves"
LAYOUT = {
    "version": "v1",
    "mig-configs": {NAME: [{"devices": "all", "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]},
}
WANTED = ["3g.40gb", "3g.40gb"]
PRODUCT = "1xH100-80GB-SXM"
WRITES = 5
"""A Hopper needs no reset for MIG mode, so a node's change is the mode, two GPU instances and two compute instances."""


class Ground:
    """A fleet, a layout for it, and a home of the one who rolls it out."""

    def __init__(self, folder: Path, fleet: Fleet, steps: Sequence[int], moments: Moments) -> None:
        self.folder = folder
        self.fleet = fleet
        self.moments = moments
        self.steps = tuple(steps)
        self.variables: Mapping[str, Any] = {}
        self.layout = folder / "layouts.yml"
        self.layout.write_text(yaml.safe_dump(LAYOUT))
        self.state = folder / "state"
        self._pristine = {node.name: _state(node).read_bytes() for node in fleet}

    @property
    def names(self) -> list[str]:
        """All nodes in the inventory's order."""
        return [node.name for node in self.fleet]

    @property
    def batches(self) -> list[list[str]]:
        """Which nodes go together; the last step repeats."""
        left, found, sizes = self.names, [], list(self.steps)
        while left:
            size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
            found.append(left[:size])
            left = left[size:]
        return found

    @property
    def environment(self) -> dict[str, str]:
        """Of whoever rolls: nobody's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MIGPROV_"))}
        home = self.folder / "home"
        return {
            **kept,
            "HOME": str(home),
            "XDG_STATE_HOME": str(self.state),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".dev"),
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_ARGS": "-F /dev/null -C -o ControlMaster=auto -o ControlPersist=60s",
            **self.moments.environment,
            # This checkout, whatever is installed.
            "PYTHONPATH": f"{HOOKS / 'python'}:{ROOT}",
        }

    def reset(self) -> None:
        """Everything as at the start: servers up, GPUs whole, nothing remembered by anybody."""
        self.end_programs()
        for node in self.fleet:
            if not node.running:
                node.start()
            fresh = _state(node).with_name(".fresh")
            fresh.write_bytes(self._pristine[node.name])
            fresh.rename(_state(node))  # who still has the old one open keeps it to itself
            _state(node).with_name("state.writes").write_text("")
            for home in (node.home, node.root_home):
                shutil.rmtree(home / ".local", ignore_errors=True)
        shutil.rmtree(self.state, ignore_errors=True)

    def end_programs(self) -> None:
        """End what still runs on the nodes but for their servers: holders, and programs that hang in the driver."""
        for holder in {process for node in self.fleet for process in node.holders()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder.pid, signal.SIGKILL)
        marks = [f"{MARK}={node.mark}" for node in self.fleet]
        assert running.end(lambda: running.marked(marks)) == []

    # -- what is true of the nodes, by their drivers themselves ------------------------------------------------

    def writes(self) -> dict[str, int]:
        """How many writes each node's driver was asked for."""
        return {node.name: node.sim.write_count() for node in self.fleet}

    def wanted(self) -> list[str]:
        """The nodes that are exactly as the layout says."""
        return [node.name for node in self.fleet if _is_wanted(node)]


def _state(node: FleetNode) -> Path:
    return node.directory / "driver" / "state"


def _is_wanted(node: FleetNode) -> bool:
    (gpu,) = node.sim.show()["gpus"]
    profiles = [instance["profile"] for instance in gpu["instances"]]
    whole = all(
        [inner["profile"] for inner in instance["compute_instances"]] == [instance["profile"]]
        for instance in gpu["instances"]
    )
    return bool(gpu["mig_current"] and gpu["mig_pending"] and profiles == WANTED and whole)


@contextlib.contextmanager
def ground(nodes: int, steps: Sequence[int]) -> Iterator[Ground]:
    """A fleet of so many nodes with one GPU each, in a folder of its own; all of it goes at the end."""
    # A short path: OpenSSH's control sockets lie below it.
    with (
        tempfile.TemporaryDirectory(prefix="rolls-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        (home / "ansible.cfg").touch()
        fleet = stack.enter_context(up(folder / "fleet", nodes=nodes, gpus=PRODUCT))
        moments = Moments(folder / "moments")
        stack.callback(moments.close)
        made = Ground(folder, fleet, steps, moments)
        stack.callback(made.end_programs)
        yield made


def later(batches: Sequence[Sequence[str]], name: str) -> list[str]:
    """The nodes of all batches after that of `name`."""
    at = next(number for number, batch in enumerate(batches) if name in batch)
    return [each for batch in batches[at + 1 :] for each in batch]


def changed(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """The nodes with more writes than before."""
    return [name for name in before if after[name] != before[name]]
