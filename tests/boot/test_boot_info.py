"""The module mig_boot_info, by real Ansible on simulated nodes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

HALVES = [{"devices": [0], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]


def boot_info(fleet: Fleet, **options: Any) -> tuple[str, dict[str, Any]]:
    """How the module ended, as Ansible's word for it, and its result."""
    command = [
        "ansible",
        "-i",
        str(fleet.inventory),
        "all",
        "-m",
        "migprov.gpu.mig_boot_info",
        "-a",
        json.dumps(options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert " | " in done.stdout, done
    head, _, body = done.stdout.partition("=>")
    result: dict[str, Any] = json.loads(body)
    return head.split(" | ")[1].strip().rstrip("!"), result


def test_a_layout_is_saved_whatever_runs_on_the_gpus_today(fleet: Fleet) -> None:
    (node,) = fleet.nodes
    work = node.sim.hold(0, 100)
    status, result = boot_info(fleet, config=HALVES)
    assert status == "SUCCESS", result
    saved = json.loads(result["saved"])
    (entry,) = saved["params"]["entries"]
    assert entry["devices"] == result["uuids"] == [node.sim.show()["gpus"][0]["uuid"]]
    assert [(gi["profile"], gi["start"]) for gi in entry["instances"]] == [("3g.40gb", 0), ("3g.40gb", 4)]
    assert saved["params"]["drain"] == "refuse"
    assert node.sim.holders() == [int(work)]
    assert node.sim.write_count() == 0


def test_the_program_is_that_of_this_release(fleet: Fleet) -> None:
    from migprov.connect.program import program

    _, result = boot_info(fleet, current=True)
    assert result["program"]["digest"] == program().digest
    assert result["program"]["path"].endswith(f"/migprov-node-{program().digest[:16]}.pyz")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"current": False}, "file, config"),
        ({"config": HALVES, "current": True}, "not both"),
        ({"config": HALVES, "limit_s": 7200}, "at most 3600"),
        ({"config": HALVES, "driver_wait_s": 300}, "below limit_s"),
        ({"config": [{**HALVES[0], "mig-devices": {"7g.80gb": 2}}]}, "7g.80gb"),
        ({"config": [{**HALVES[0], "devices": [9]}]}, "index 9 is no GPU of this node"),
    ],
)
def test_what_cannot_be_restored_is_refused_now(fleet: Fleet, options: dict[str, Any], word: str) -> None:
    status, result = boot_info(fleet, **options)
    assert status == "FAILED"
    assert word in result["msg"]


def test_a_gpu_whose_layout_cannot_be_told_is_named(fleet: Fleet) -> None:
    fleet.nodes[0].sim.fault(1, lost=True)
    status, result = boot_info(fleet, current=True)
    assert status == "FAILED"
    assert "GPU 1 " in result["msg"]
    assert "cannot be saved" in result["msg"]
