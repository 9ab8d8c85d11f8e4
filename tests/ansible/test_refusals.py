"""Requests that make no sense end with a clear message before any node is contacted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .plays import VOICE, Ansible, Run
from .rolls import NOWHERE

WRONG: dict[str, tuple[str, Any, str]] = {
    "nothing": ("mig_layout", {}, "one of the following is required: file, config"),
    "file without name": ("mig_layout", {"file": "x.yml"}, "parameters are required together: file, name"),
    "file and config": ("mig_layout", {"file": "x", "name": "y", "config": VOICE}, "mutually exclusive"),
    "no such file": ("mig_verify", {"file": "nosuch.yml", "name": "voice"}, "no layout file nosuch.yml"),
    "empty config": ("mig_layout", {"config": []}, "config"),
    "profile id": (
        "mig_layout",
        {"config": [{"devices": "all", "mig-enabled": True, "mig-devices": {"19": 2}}]},
        "19",
    ),
    "misspelt key": ("mig_layout", {"config": [{"devices": "all", "mig-enable": True}]}, "mig-enable"),
    "unknown option": ("mig_mode", {"enabled": True, "gpus": [1], "mode": 1}, "Unsupported parameters for"),
    "no GPUs": ("mig_mode", {"enabled": True}, "missing required arguments: gpus"),
    "empty list of GPUs": ("gpu_reset", {"gpus": []}, "list of index, UUID and PCI bus id"),
    "all and one": ("gpu_reset", {"gpus": ["all", 1]}, "'all' alone"),
    "a GPU that is a float": ("gpu_reset", {"gpus": [1.5]}, "1.5 is no index"),
    "instances as text": ("mig_instances", {"gpus": [1], "instances": "3g.40gb"}, "must be a mapping of profile to"),
    "instances misspelt": ("mig_instances", {"gpus": [1], "instances": {"3g.40g": 2}}, "instances: "),
    "version as a number": ("gpu_driver", {"minimum": 570.10}, "put the version in quotes"),
    "not a bool": ("mig_info", {"processes": "perhaps"}, "processes"),
    "a node without a name": ("slurm_node_info", {"node": ""}, "node must not be empty"),
    "a reason that is null": (
        "slurm_node",
        {"node": "n", "state": "drained", "change": None},
        "change must not be empty",
    ),
    "GPUs that are none": (
        "slurm_gres",
        {"node": "n", "mode": "explicit", "gpus": [{}]},
        "that migprov.gpu.mig_info returns",
    ),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All of them in one run."""
    tasks = [
        {"name": case, f"migprov.gpu.{module}": options, "ignore_errors": True}
        for case, (module, options, _said) in WRONG.items()
    ]
    return Ansible(tmp_path_factory.mktemp("wrong"), None).play(tasks, *NOWHERE)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options(case: str, refused: Run) -> None:
    task = refused.of(case)
    assert task.status == "failed", refused.output
    assert WRONG[case][2] in task.result["msg"], task.result["msg"]
    assert (task.result["error"]["code"], task.result["error"]["message"]) == ("bad_request", task.result["msg"])
    assert "Traceback" not in refused.output


def test_a_name_that_the_file_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "layouts.yml").write_text("version: v1\nmig-configs: {voice: [{devices: all, mig-enabled: false}]}\n")
    options = {"file": "layouts.yml", "name": "vioce"}
    run = Ansible(tmp_path, None).play([{"name": "Wrong", "migprov.gpu.mig_layout": options}], *NOWHERE)
    message = run.of("Wrong").result["msg"]
    assert "vioce" in message
    assert "voice" in message.replace("vioce", "")
    assert str(tmp_path / "layouts.yml") in message


def test_async_is_refused(tmp_path: Path) -> None:
    task = {"name": "In the background", "migprov.gpu.mig_layout": {"config": VOICE}, "async": 60, "poll": 0}
    run = Ansible(tmp_path, None).play([task], *NOWHERE)
    refused = run.of("In the background")
    assert refused.status == "failed", run.output
    assert "migprov.gpu.mig_layout does not run with async" in refused.result["msg"]
    assert "Next: take async and poll from the task" in refused.result["msg"]


@pytest.mark.parametrize("role", ["gpu_drain_slurm", "gpu_drain_kubernetes"])
def test_a_role_without_a_main_entry_point_says_so(role: str, tmp_path: Path) -> None:
    """Ansible itself takes a role without main.yml for one that has nothing to do."""
    run = Ansible(tmp_path, None).play([], *NOWHERE, roles=[f"migprov.gpu.{role}"])
    assert run.rc == 2, run.output
    assert "Next: name one with tasks_from." in run.of("An entry point is named").result["msg"]


def test_a_node_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    run = Ansible(tmp_path, None).play([{"name": "Read", "migprov.gpu.mig_info": {}}], *NOWHERE)
    assert run.of("Read").status == "unreachable"
    assert run.rc == 4


def test_a_control_node_without_the_package(tmp_path: Path) -> None:
    """A package of that name that cannot be imported stands in the way, as a broken installation would."""
    (tmp_path / "broken" / "migprov").mkdir(parents=True)
    (tmp_path / "broken" / "migprov" / "__init__.py").write_text("raise ImportError('broken on purpose')\n")
    run = Ansible(tmp_path, None).play(
        [{"name": "Read", "migprov.gpu.mig_info": {}}], *NOWHERE, env={"PYTHONPATH": str(tmp_path / "broken")}
    )
    message = run.of("Read").result["msg"]
    assert "needs the Python package migprov on the control node" in message
    assert "broken on purpose" in message
    assert "bin/python" in message
    assert "Next: install migprov " in message
