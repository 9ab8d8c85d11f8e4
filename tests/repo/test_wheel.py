"""The built wheel alone, from an empty folder, serves library, command and collection."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from migprov.sim.nodes import Fleet

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections/migprov/gpu/"


def run(command: list[str | Path], cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; returns its standard output."""
    # As a user has it: nothing says where the collection is.
    own = {name: value for name, value in os.environ.items() if name != "ANSIBLE_COLLECTIONS_PATH"}
    done = subprocess.run(command, cwd=cwd, env=own | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution, so that both are complete."""
    dist = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", dist], ROOT)
    (sdist,) = dist.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    run([*pip, "-w", dist, sdist], dist)
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the wheel, and the dependencies of this one by a path.

    The editable install of this environment does not leak: a path in a .pth file is searched for packages, but
    the .pth files that lie there are not read.
    """
    environment = tmp_path_factory.mktemp("fresh") / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", environment], environment.parent)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    run(pip, environment.parent)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


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
