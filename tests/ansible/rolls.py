"""What the tests of rolls share: names of tasks, variables of one host, a node that is lost at one of its calls."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .plays import Ansible, Run

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

LAYOUTS = Path(__file__).resolve().parents[2] / "inventories" / "layouts" / "voice.yml"
VOICE = {"mig_layout_file": str(LAYOUTS), "mig_layout_name": "voice"}
APPLY = "Bring the GPUs to the layout"
VERIFY = "Verify the layout"
DRIVER = "The driver is good enough"
READY = "Every node is ready"
PREFLIGHT = "The layout is possible on this node and nothing is in its way"
GUARD = "No node of an earlier batch was lost"
STOP = "Stop the roll"
# Nothing listens there: a task that contacted the node would be unreachable, not failed.
NOWHERE = ("-i", "nowhere,", "-e", "ansible_host=127.0.0.1", "-e", "ansible_port=1")
CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"


def rollout(ansible: Ansible, *arguments: str, layout: dict[str, str] | None = None, **variables: Any) -> Run:
    """Roll a layout out, by default the voice pipeline's."""
    given = {**(VOICE if layout is None else layout), **variables}
    return ansible.playbook("migprov.gpu.rollout", "-e", json.dumps(given), *arguments)


def writes(fleet: Fleet) -> list[int]:
    """How often the driver of each node was written to."""
    return [node.sim.write_count() for node in fleet]


def set_for(fleet: Fleet, name: str, **variables: Any) -> Path:
    """Variables of one host, in a file beside the inventory; take it away to undo them."""
    folder = fleet.inventory.parent / "host_vars"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(variables))
    return path


def ssh_that(folder: Path, at: int, does: str) -> Path:
    """An ssh that does something, as a line of shell, before its call of that number; the first is 1."""
    script, count = folder / "ssh", folder / "count"
    folder.mkdir()
    script.write_text(
        f"#!/bin/sh\necho >> {shlex.quote(str(count))}\n"
        f'if [ "$(wc -l < {shlex.quote(str(count))})" -eq {at} ]; then {does}; fi\nexec ssh "$@"\n'
    )
    script.chmod(0o700)
    return script
