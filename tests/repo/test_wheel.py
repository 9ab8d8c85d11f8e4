"""The built wheel alone, from an empty folder, serves library, command and collection."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from migprov.sim.nodes import Fleet

from .packages import ROOT, environment, run

COLLECTION = "ansible_collections/migprov/gpu/"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the wheel."""
    return environment(tmp_path_factory.mktemp("fresh") / "venv", wheel)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def ansible(python: Path, empty: Path, program: str, *arguments: str) -> str:
    path = f"{python.parent}:{os.environ['PATH']}"
    return run([python, "-m", "ansible", program, *arguments], empty, PATH=path, ANSIBLE_NOCOLOR="1")


def test_what_the_wheel_holds(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "migprov/py.typed",
        "migprov/mig/geometry.json",
        "migprov/layouts/layout.schema.json",
        f"{COLLECTION}galaxy.yml",
        f"{COLLECTION}meta/runtime.yml",
        f"{COLLECTION}plugins/COPYING",
        f"{COLLECTION}plugins/modules/mig_layout.py",
        f"{COLLECTION}plugins/action/mig_layout.py",
        f"{COLLECTION}playbooks/rollout.yml",
        f"{COLLECTION}roles/mig_layout/meta/argument_specs.yml",
    }
    assert wanted - names == set()
    natives = {str(path.relative_to(ROOT)) for path in (ROOT / "migprov/sim/native").glob("*.[ch]")}
    assert natives
    assert natives - names == set()
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_the_metadata_is_valid_and_every_dependency_has_a_lower_bound(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(name), validate=True)
    assert metadata.requires_dist
    assert metadata.description_content_type == "text/markdown"
    used = [each for each in metadata.requires_dist if "extra == 'dev'" not in str(each).replace('"', "'")]
    assert len(used) > 10
    unbounded = [str(each) for each in used if not any(part.operator == ">=" for part in each.specifier)]
    assert unbounded == []


def test_the_library_is_the_installed_one(installed: Path, empty: Path) -> None:
    where = run([installed, "-c", "import migprov; print(migprov.__file__)"], empty)
    assert str(installed.parents[1]) in where


def test_command(installed: Path, empty: Path) -> None:
    assert "apply" in run([installed.parent / "migprov", "--help"], empty)


def test_ansible_doc(installed: Path, empty: Path) -> None:
    page = ansible(installed, empty, "doc", "migprov.gpu.mig_layout")
    assert page.startswith("> MODULE")
    assert f"{installed.parents[1]}/lib" in page.splitlines()[0]


def test_playbook_by_its_full_name(installed: Path, empty: Path) -> None:
    listing = ansible(installed, empty, "playbook", "migprov.gpu.rollout", "-i", "localhost,", "--syntax-check")
    assert f"playbook: {installed.parents[1]}/lib" in listing


def test_module_and_playbook_against_a_node(installed: Path, empty: Path, fleet: Fleet) -> None:
    told = ansible(installed, empty, "adhoc", "gpu1", "-i", str(fleet.inventory), "-m", "migprov.gpu.mig_info")
    assert "NVIDIA A100" in told
    layouts = empty.parent / "layouts.yml"
    layouts.write_text(
        "version: v1\nmig-configs:\n  one:\n    - {devices: [0], mig-enabled: true, mig-devices: {7g.80gb: 1}}\n"
    )
    variables = ["-e", f"mig_layout_file={layouts}", "-e", "mig_layout_name=one"]
    roll = ansible(installed, empty, "playbook", "migprov.gpu.rollout", "-i", str(fleet.inventory), *variables)
    assert "changed=1" in roll
    assert fleet.nodes[0].sim.write_count() > 0
