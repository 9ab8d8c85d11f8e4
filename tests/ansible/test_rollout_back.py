"""The playbook that rolls back, and that may be started again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from .plays import VOICE, Ansible
from .rolls import CREATE, STOP, writes

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

BACK = "Go back to the layout before the last change"
WHOLE = [{"devices": [1], "mig-enabled": True, "mig-devices": {"7g.80gb": 1}}]


@pytest.mark.long
def test_back_stopped_half_way_and_taken_up_again(
    make_fleet: Callable[..., Fleet], before: Callable[[Fleet], Ansible]
) -> None:
    fleet = make_fleet(nodes=3)
    ansible = before(fleet)
    never = ansible.playbook("migprov.gpu.rollback", "--limit", "gpu1")
    assert never.rc == 2
    assert "holds no change to go back before" in never.output
    assert never.hosts(BACK) == []
    layouts = [
        {"name": name, "migprov.gpu.mig_layout": {"config": config}} for name, config in enumerate([WHOLE, VOICE])
    ]
    assert ansible.play([{**task, "name": str(task["name"])} for task in layouts]).rc == 0

    fleet.node("gpu2").sim.fault(1, CREATE, error="UNKNOWN")
    counted = writes(fleet)
    run = ansible.playbook("migprov.gpu.rollback", "-e", "mig_layout_steps=1")
    assert run.rc == 2
    assert run.hosts(BACK) == ["gpu1"]
    assert run.of(STOP, "gpu2").result["msg"].startswith(f"gpu2 is not as it is to be: {BACK}")
    assert [now > was for now, was in zip(writes(fleet), counted, strict=True)] == [True, True, False]

    fleet.node("gpu2").sim.clear_faults()
    counted = writes(fleet)
    again = ansible.playbook("migprov.gpu.rollback", "-e", "mig_layout_steps=1")
    assert again.rc == 0, again.output
    assert again.hosts(BACK, "skipped") == ["gpu1"]
    assert [now > was for now, was in zip(writes(fleet), counted, strict=True)] == [False, True, True]
    for node in fleet:
        assert [gi["profile"] for gi in node.sim.show()["gpus"][1]["instances"]] == ["7g.80gb"]
