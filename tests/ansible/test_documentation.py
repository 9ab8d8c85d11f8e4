"""ansible-doc from an empty folder, and the documentation against the options that are validated."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from .plays import Ansible

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ansible-doc says of every module."""
    names = [f"migprov.gpu.{name}" for name in MODULES]
    done = Ansible(tmp_path_factory.mktemp("empty"), None).command("ansible-doc", "--json", *names)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert sorted(found) == names
    return found


@pytest.mark.parametrize("name", MODULES)
def test_each_module_has_examples_returns_and_attributes(name: str, documented: dict[str, Any]) -> None:
    page = documented[f"migprov.gpu.{name}"]
    assert f"migprov.gpu.{name}:" in page["examples"]
    assert "error" in page["return"]
    attributes = page["doc"]["attributes"]
    assert attributes["check_mode"]["support"] == "full"
    assert attributes["async"]["support"] == "none"
    assert {"diff_mode", "idempotent", "platform", "action_group"} <= set(attributes)


@pytest.mark.parametrize("name", MODULES)
def test_the_documented_options_are_those_that_are_validated(name: str, documented: dict[str, Any]) -> None:
    # By its file: in this process Ansible may have found another copy of the collection, in the user's home.
    spec = runpy.run_path(str(ROOT / "plugins" / "module_utils" / "arguments.py"))[name.upper()]["argument_spec"]
    described = documented[f"migprov.gpu.{name}"]["doc"].get("options", {})
    keys = ("type", "elements", "required", "default", "choices")
    assert {
        option: {k: v for k in keys if (v := described[option].get(k)) not in (None, False)} for option in described
    } == {option: {k: v for k in keys if (v := given.get(k)) not in (None, False)} for option, given in spec.items()}


def test_the_role_and_the_playbooks_are_found(tmp_path: Path) -> None:
    ansible = Ansible(tmp_path, None)
    role = ansible.command("ansible-doc", "-t", "role", "--json", "migprov.gpu.mig_layout")
    assert role.returncode == 0, role.stderr
    options = json.loads(role.stdout)["migprov.gpu.mig_layout"]["entry_points"]["main"]["options"]
    assert all(option.startswith("mig_layout") for option in options)
    for name in ("info", "rollback", "rollout", "verify"):
        done = ansible.command("ansible-playbook", "-i", "localhost,", "--syntax-check", f"migprov.gpu.{name}")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_a_stub_that_is_run_as_a_module_says_that_nothing_was_changed(name: str, tmp_path: Path) -> None:
    import subprocess
    import sys

    module = f"ansible_collections.migprov.gpu.plugins.modules.{name}"
    arguments = {"mig_mode": {"enabled": True, "gpus": [0]}, "gpu_reset": {"gpus": [0]}, "gpu_drain": {"gpus": [0]}}
    arguments["mig_instances"] = {"gpus": [0], "instances": {}}
    arguments["mig_boot_info"] = {"current": True}
    arguments["k8s_node"] = {"node": "x", "state": "uncordoned"}
    arguments["k8s_node_info"] = arguments["slurm_node_info"] = {"node": "x"}
    arguments["slurm_node"] = {"node": "x", "state": "resumed"}
    arguments["slurm_gres"] = {"node": "x", "mode": "explicit", "gpus": []}
    arguments["k8s_mig_manager"] = {"node": "x", "file": "x", "name": "y"}
    arguments["mig_layout"] = arguments["mig_verify"] = {"file": "x", "name": "y"}
    given = json.dumps({"ANSIBLE_MODULE_ARGS": arguments.get(name, {})})
    (tmp_path / "args.json").write_text(given)
    done = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path / "args.json")], capture_output=True, text=True, check=False
    )
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["failed"]) == (1, True)
    assert "Nothing was changed" in answer["msg"]


def test_every_module_is_in_the_action_group_and_has_its_action_plugin() -> None:
    root = Path(__file__).resolve().parents[2]
    assert yaml.safe_load((root / "meta" / "runtime.yml").read_text())["action_groups"]["gpu"] == MODULES
    for kind in ("action", "modules"):
        assert sorted(path.stem for path in (root / "plugins" / kind).glob("*.py")) == MODULES
