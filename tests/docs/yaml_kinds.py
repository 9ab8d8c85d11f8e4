"""What a block of YAML is, and whether it is a good one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from migprov import layouts
from migprov.capacity import fleet_file, workloads_file

from . import pages

# What else a role's variables are accompanied by: of the playbooks themselves, and of Ansible.
_PLAYBOOK_VARIABLES = {
    "mig_layout_hosts",
    "mig_layout_steps",
    "mig_layout_scheduler",
    "mig_layout_soak",
    "mig_gpu_price",
}
_OF_GROUP = {"hosts", "children", "vars"}
_BUILDER = {"version", "images", "dependencies", "options", "build_arg_defaults", "additional_build_files"}
_BUILDER |= {"additional_build_steps"}


@cache
def variables() -> frozenset[str]:
    """Those of all roles and of the playbooks' plays."""
    found = set(_PLAYBOOK_VARIABLES)
    for specs in pages.ROOT.glob("roles/*/meta/argument_specs.yml"):
        for point in yaml.safe_load(specs.read_text())["argument_specs"].values():
            found |= set(point.get("options", {}))
    for task in pages.ROOT.glob("roles/*/defaults/main.yml"):
        found |= set(yaml.safe_load(task.read_text()) or {})
    return frozenset(found)


def documents(block: pages.Block) -> list[Any]:
    return [each for each in yaml.safe_load_all(block.text) if each is not None]


def plays(found: Any) -> str | None:
    """As a playbook, where it is one or a list of tasks."""
    if not (isinstance(found, list) and found and all(isinstance(each, dict) for each in found)):
        return None
    if all({"hosts", "import_playbook", "ansible.builtin.import_playbook"} & set(each) for each in found):
        return yaml.safe_dump(found, sort_keys=False)
    return yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": found}], sort_keys=False)


def tasks(found: Any) -> Iterator[Mapping[str, Any]]:
    """All tasks, those in plays and blocks too."""
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict):
            yield each
            for within in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
                yield from tasks(each.get(within))


def check(block: pages.Block, found: Any) -> None:
    """Fails where it is none of the kinds that a page may have, or a bad one. Playbooks are for Ansible to check."""
    if plays(found) is not None:
        return
    assert isinstance(found, dict), "neither a mapping nor plays nor tasks"
    keys = set(found)
    if "mig-configs" in keys:
        assert layouts.loads(block.text, block.where).names
    elif keys >= {"version", "workloads"}:
        workloads_file.loads(block.text, block.where)
    elif keys >= {"version", "nodes"}:
        fleet_file.loads(block.text, block.where)
    elif keys == {"mig-devices"}:
        _layout([{"devices": "all", "mig-enabled": True, **found}], block.where)
    elif "apiVersion" in keys:
        assert {"kind", "metadata"} <= keys, "a manifest has kind and metadata"
    elif "jobs" in keys:
        assert all({"runs-on", "steps"} <= set(job) for job in found["jobs"].values()), "a workflow's job runs steps"
    elif "plugin" in keys or keys <= _BUILDER or {"driver", "platforms"} & keys:
        pass  # an inventory of a plugin, ansible-builder's, molecule's
    elif all(isinstance(value, dict) and value and set(value) <= _OF_GROUP for value in found.values()):
        pass  # groups of an inventory
    else:
        unknown = {key for key in keys if key not in variables() and not key.startswith("ansible_")}
        assert not unknown, f"no variables of the roles: {sorted(unknown)}"
        if isinstance(found.get("mig_layout"), list):
            _layout(found["mig_layout"], block.where)


def _layout(entries: Any, where: str) -> None:
    text = yaml.safe_dump({"version": "v1", "mig-configs": {"shown": entries}})
    assert layouts.loads(text, where).layout("shown")
