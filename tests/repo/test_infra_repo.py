"""docs/infra-repo, as far as it costs next to nothing; `make infra-repo` runs the whole of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import migprov
from migprov import layouts
from migprov.cli.main import run
from migprov.fleet.inventory import open_inventory
from migprov.sim.products import parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "docs" / "infra-repo"


def test_it_asks_for_this_version() -> None:
    asked = re.findall(r"^migprov\[sim\]==(.*)$", (TEMPLATE / "requirements.txt").read_text(), re.MULTILINE)
    assert asked == [migprov.__version__]


def test_every_node_has_a_layout_and_every_layout_a_node() -> None:
    inventory = open_inventory([str(TEMPLATE / "inventory")])
    names = {name: found.name for name in inventory.names() if (found := inventory.layout(name)) is not None}
    assert set(names) == set(inventory.names())
    assert set(names.values()) == set(layouts.load(TEMPLATE / "layouts.yml").names)


def test_each_kind_of_node_is_simulated() -> None:
    inventory = open_inventory([str(TEMPLATE / "inventory")])
    simulated = yaml.safe_load((TEMPLATE / "molecule/default/inventory/hosts.yml").read_text())["simulated"]["hosts"]
    assert set(simulated) <= set(inventory.names())
    assert {inventory.layout(name).name for name in simulated} == {"voice", "notebooks"}  # type: ignore[union-attr]
    assert all(parse(variables["simulated_gpus"]) for variables in simulated.values())


def test_the_check_of_the_layout_file_finds_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = re.findall(r"run: migprov (render.*)", (TEMPLATE / ".github/workflows/ci.yml").read_text())
    good = (TEMPLATE / "layouts.yml").read_text()
    file = tmp_path / "layouts.yml"
    words = line.replace("layouts.yml", str(file)).split()
    file.write_text(good)
    assert run(words) == 0
    file.write_text(good.replace('"3g.40gb": 2', '"3g.40g": 2'))
    assert run(words) == 1
    assert "Did you mean 3g.40gb?" in capsys.readouterr().err
