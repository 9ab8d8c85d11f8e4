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


def layout_checks() -> list[list[str]]:
    """The words of each `migprov layouts` of the workflow."""
    workflow = yaml.safe_load((TEMPLATE / ".github/workflows/ci.yml").read_text())
    lines = [line for step in workflow["jobs"]["layouts"]["steps"] for line in step.get("run", "").splitlines()]
    return [line.split()[1:] for line in lines if line.startswith("migprov layouts ")]


def test_the_first_check_is_about_what_each_node_gets() -> None:
    """Each layout, with the GPUs of those simulated nodes that have it."""
    inventory = open_inventory([str(TEMPLATE / "inventory")])
    hosts = yaml.safe_load((TEMPLATE / "molecule/default/inventory/hosts.yml").read_text())["simulated"]["hosts"]
    had = set()
    for name, variables in hosts.items():
        layout = inventory.layout(name)
        assert layout is not None
        had |= {(layout.name, gpu.key) for gpu in parse(variables["simulated_gpus"])}
    assert {(words[2], words[4]) for words in layout_checks()} == had


@pytest.mark.parametrize(
    ("good", "wrong", "said"),
    [
        ("", "", "notebooks\n  can be made on H100-80GB-SXM\n"),
        ('"3g.40gb": 2', '"3g.40g": 2', "layouts.yml:11: '3g.40g' is not a MIG profile name"),
        ('"3g.40gb": 2', '"3g.20gb": 2', "layouts.yml:8: A100-80GB has no profile 3g.20gb"),
        ('"3g.40gb": 2', '"3g.40gb": 3', "layouts.yml:8: 3g.40gb x 3 cannot be placed together on one A100-80GB"),
        ('"1g.10gb": 7', '"1g.10gb": 8', "layouts.yml:14: 1g.10gb x 8 cannot be placed together on one H100-80GB-SXM"),
    ],
)
def test_it_finds_what_is_wrong(
    place: Path, capsys: pytest.CaptureFixture[str], good: str, wrong: str, said: str
) -> None:
    text = (TEMPLATE / "layouts.yml").read_text()
    assert good in text
    (place / "layouts.yml").write_text(text.replace(good, wrong) if good else text)
    assert max(run(words) for words in layout_checks()) == (1 if wrong else 0)
    told = capsys.readouterr()
    assert said in told.out + told.err


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
