"""The look at every node before the first change: what stops the roll there, and which layout each host has."""

from __future__ import annotations

import fcntl
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .plays import Ansible
from .rolls import APPLY, LAYOUTS, PREFLIGHT, READY, rollout, set_for, ssh_that, writes

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

ENABLE = "import pynvml as n; n.nvmlInit(); n.nvmlDeviceSetMigMode(n.nvmlDeviceGetHandleByIndex(1), 1)"
HALVES = [{"devices": [0], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]
WHOLE = [{"devices": [2], "mig-enabled": True, "mig-devices": {"7g.80gb": 1}}]


def test_what_stops_the_roll_before_the_first_change(
    make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible], tmp_path: Path
) -> None:
    """gpu2 is being changed by somebody else, gpu3 between the two looks, gpu4 has no layout, gpu5 no command."""
    fleet = make_fleet(nodes=5)
    ansible = before(fleet)
    assert ansible.playbook("migprov.gpu.info").rc == 0  # the program is there: each task is one call from now on
    for name in ("gpu1", "gpu2"):
        set_for(fleet, name, mig_layout="voice", mig_layouts_file=str(LAYOUTS))
    changed = fleet.node("gpu3")
    command = shlex.join([sys.executable, "-c", ENABLE])
    environment = shlex.join(f"{key}={value}" for key, value in changed.environment.items())
    wrapper = ssh_that(tmp_path / "third", 3, f"env {environment} {command}")
    set_for(fleet, "gpu3", mig_layout="voice", mig_layouts_file=str(LAYOUTS), ansible_ssh_executable=str(wrapper))
    set_for(fleet, "gpu4", mig_layout="voice")
    # To YAML this is no word.
    set_for(fleet, "gpu5", mig_layout="voice", mig_layouts_file=str(LAYOUTS), mig_layout_health_command=True)
    lock = fleet.node("gpu2").home / ".cache" / "migprov" / "lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write('{"pid": 4711, "since": "2026-01-31 09:30:00 +0000"}')
        held.flush()
        run = rollout(ansible, layout={})
    assert run.rc == 2
    locked = run.of("Nobody else changes the node", "gpu2").result["msg"]
    assert "another change is running on this node (process 4711, since 2026-01-31 09:30:00 +0000)" in locked
    different = run.of("Both looks say the same", "gpu3").result["msg"]
    assert "two looks, one after the other, found different things to do" in different
    unnamed = run.of("A layout is named for the node", "gpu4").result["msg"]
    assert "the layout voice is named, and no file that holds it" in unnamed
    assert "it is true. Nothing was changed." in run.of("The health command is a command", "gpu5").result["msg"]
    assert "Not ready: gpu2, gpu3, gpu4, gpu5 " in run.of(READY, "gpu1").result["msg"]
    assert run.hosts(APPLY) == []
    assert [count for node, count in zip(fleet, writes(fleet), strict=True) if node is not changed] == [0, 0, 0, 0]


def test_each_host_has_its_own_layout(make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]) -> None:
    """By name, as entries, and by the role's own variable, which wins."""
    fleet = make_fleet(nodes=4)
    set_for(fleet, "gpu1", mig_layout="voice", mig_layouts_file=str(LAYOUTS))
    set_for(fleet, "gpu2", mig_layout=HALVES, mig_layouts_file=str(LAYOUTS))
    set_for(fleet, "gpu3", mig_layout="voice", mig_layouts_file=str(LAYOUTS), mig_layout_config=WHOLE)
    set_for(fleet, "gpu4", mig_layout=HALVES, mig_layout_file=str(LAYOUTS), mig_layout_name="voice")
    run = rollout(before(fleet), "--tags", "preflight", layout={})
    assert run.rc == 0, run.output
    planned = {name: run.of(PREFLIGHT, name).result["steps"] for name in ("gpu1", "gpu2", "gpu3", "gpu4")}
    gpus = {name: {step["gpu"] for step in steps} for name, steps in planned.items()}
    assert gpus == {"gpu1": {1}, "gpu2": {0}, "gpu3": {2}, "gpu4": {1}}
    assert run.hosts(APPLY) == []
    assert writes(fleet) == [0, 0, 0, 0]
