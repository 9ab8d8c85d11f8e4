"""The reference has all that there is: it is made from the code, and here looked up in it another way."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import migprov
from docs._site import cli, collection, errors, python_api, schemas
from migprov.cli.main import group

ROOT = Path(__file__).resolve().parents[2]


def test_every_command_and_option() -> None:
    page = cli.page()
    sections = dict(re.findall(r"^#+ `(migprov [^`]*)`\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL))
    assert {"migprov info", "migprov render pods", "migprov sim up"} <= set(sections)
    assert {name.split()[1] for name in sections} == set(group.list_commands(click.Context(group)))
    for name, command in cli.commands():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert all(each in sections[name] for each in option.opts), (name, option.opts)
    for code in ("0", "1", "2", "4", "130"):
        assert f"| `{code}` |" in page


@pytest.mark.parametrize("path", schemas.FILES.values(), ids=lambda path: path.name)
def test_every_key_of_a_file(path: Path) -> None:
    told = {row[0].strip("`").rpartition(".")[2].removesuffix("[]") for row in schemas.rows(schemas.schema(path))}
    assert keys(json.loads(path.read_text())) <= told


def keys(node: Any) -> set[str]:
    """Those of `properties` anywhere in a schema, but where it only says more about them."""
    found: set[str] = set()
    if isinstance(node, dict):
        found |= set(node.get("properties", {}))
        for word, value in node.items():
            found |= set().union(*map(keys, value.values())) if word == "properties" else keys(value)
    elif isinstance(node, list):
        found |= set().union(*map(keys, node))
    return found


def test_every_public_name() -> None:
    page = python_api.page()
    for name in migprov.__all__:
        if name not in ("layouts", "__version__"):
            assert re.search(rf"^\.\. auto\w+:: (migprov\.connect\.node\.)?{name}$", page, re.MULTILINE), name
    assert set(python_api.MODULES) > {"migprov.layouts", "migprov.fleet", "migprov.fleet.roll"}


def test_every_module_and_role_with_its_options() -> None:
    modules, roles = collection.modules_page(), collection.roles_page()
    for path in (ROOT / "plugins" / "modules").glob("*.py"):
        assert f"\n## `{path.stem}`\n" in modules
    for name, found in collection.documented()["module"].items():
        assert found["doc"], name
        for option in found["doc"].get("options", {}):
            assert f"| `{option}` |" in modules, (name, option)
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        section = roles.partition(f"\n## `{path.parts[-3]}`\n")[2].partition("\n## ")[0]
        for point, of in yaml.safe_load(path.read_text())["argument_specs"].items():
            assert f"entry point `{point}`" in section
            assert all(f"| `{option}` |" in section for option in of.get("options", {}))


def test_ansibles_markup_is_gone() -> None:
    text = re.sub(r"```yaml.*?```", "", collection.modules_page() + collection.roles_page(), flags=re.DOTALL)
    assert re.findall(r"(?<![\w`])(?:B|I|C|O|V|RV|E|M|P|R|U|L)\([^)]*\)", text) == []


def test_every_code() -> None:
    page = errors.page()
    assert {"gpu_busy", "unreachable", "slurm_jobs"} <= set(errors.codes())
    for source in ROOT.glob("migprov/**/errors.py"):
        if "sim" not in source.parts:
            for code in re.findall(r'^    code(?:: [\w\[\]]+)? = "(\w+)"', source.read_text(), re.MULTILINE):
                assert f"| `{code}` |" in page, code


def test_the_site_has_every_page() -> None:
    """What is in no table of contents nobody finds."""
    listed = set(re.findall(r"^([\w./-]+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE))
    there = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert there <= listed
    assert {name for name in listed if "/" not in name} <= there
    assert "docs" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
