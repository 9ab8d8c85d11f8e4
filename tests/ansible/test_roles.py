"""What a role says of its variables: defaults, argument_specs and README tell the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).resolve().parents[2] / "roles").iterdir() if path.is_dir())


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def options(role: Path) -> dict[str, list[dict[str, Any]]]:
    """Each variable of the role, as each of its entry points describes it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for point in yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"].values():
        for name, option in point["options"].items():
            found.setdefault(name, []).append(option)
    return found


def test_every_entry_point_describes_a_variable_in_the_same_words(role: Path) -> None:
    assert {name: found for name, found in options(role).items() if any(one != found[0] for one in found)} == {}


def test_the_documented_defaults_are_the_defaults(role: Path) -> None:
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    described = {name: found[0]["default"] for name, found in options(role).items() if "default" in found[0]}
    assert described == defaults
    assert all(name.startswith((role.name, "mig_layout")) for name in options(role))


def test_the_tables_have_every_variable(role: Path) -> None:
    """Those of the roll itself stand in docs/ansible.md."""
    text = (role / "README.md").read_text() + (role.parents[1] / "docs" / "ansible.md").read_text()
    # mig_layout_back is set by the playbooks alone
    assert {name for name in options(role) if f"`{name}`" not in text} <= {"mig_layout_back"}
