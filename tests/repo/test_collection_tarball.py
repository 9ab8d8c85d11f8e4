"""The collection's tarball: what it holds, and that it works with the wheel, and only with the wheel of its version."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import migprov
from migprov.sim.nodes import Fleet

from .conftest import Controller
from .packages import ROOT, call, environment, run, site_packages

NOWHERE = ("-i", "nowhere.invalid,", "-c", "ssh")


def ansible(controller: Controller, program: str, *arguments: str, **more: str) -> str:
    return run([controller.python, "-m", "ansible", program, *arguments], controller.folder, **controller.env, **more)


def refusal(python: Path, controller: Controller, **more: str) -> str:
    """What a module says that must fail before any node is contacted."""
    command = [python, "-m", "ansible", "adhoc", "all", *NOWHERE, "-m", "migprov.gpu.mig_info"]
    done = call(command, controller.folder, **controller.env, **more)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Nothing was contacted or changed" in done.stdout
    assert "UNREACHABLE" not in done.stdout
    return done.stdout


# --- what it holds --------------------------------------------------------------------------------------------------


def test_just_the_collection(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        files = {member.name for member in archive if member.isfile()}
    of_galaxy = {"MANIFEST.json", "FILES.json"}
    parts = {"README.md", "LICENSE", "CHANGELOG.md", "meta", "playbooks", "plugins", "roles"}
    assert {name.partition("/")[0] for name in files} == parts | of_galaxy
    listing = call(["git", "ls-files", "-z", "-co", "--exclude-standard", *parts], ROOT)
    if listing.returncode == 0:  # a git checkout
        assert files - of_galaxy <= set(listing.stdout.split("\0"))
    assert files >= {f"meta/{name}" for name in ("execution-environment.yml", "ee-requirements.txt", "ee-bindep.txt")}


def test_one_version_in_the_collection() -> None:
    library = (ROOT / "plugins/plugin_utils/library.py").read_text()
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    requirements = (ROOT / "meta/ee-requirements.txt").read_text().splitlines()
    assert re.findall(r'^VERSION = "(.*)"$', library, re.MULTILINE) == [galaxy] == [migprov.__version__]
    assert [line for line in requirements if not line.startswith("#")] == [f"migprov=={galaxy}"]


# --- that it works --------------------------------------------------------------------------------------------------


def test_module_and_playbook_against_a_node(controller: Controller, fleet: Fleet) -> None:
    inventory = ("-i", str(fleet.inventory))
    assert str(controller.collections) in ansible(controller, "doc", "migprov.gpu.mig_info").splitlines()[0]
    assert "NVIDIA A100" in ansible(controller, "adhoc", "gpu1", *inventory, "-m", "migprov.gpu.mig_info")
    assert "NVIDIA A100" in ansible(controller, "playbook", *inventory, "migprov.gpu.info")


# --- that it says what is wrong -------------------------------------------------------------------------------------


def test_without_the_package(controller: Controller, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    said = refusal(python, controller)
    assert str(python) in said
    assert f"install migprov {migprov.__version__}" in said


@pytest.fixture
def another(controller: Controller, tmp_path: Path) -> Callable[..., str]:
    """Makes a folder with the package in another version, in which these texts of files are others."""

    def make(*changes: tuple[str, str, str]) -> str:
        folder = tmp_path / "another"
        shutil.copytree(site_packages(controller.python) / "migprov", folder / "migprov")
        version = ("__init__.py", f'__version__ = "{migprov.__version__}"', '__version__ = "7.0.0"')
        for name, old, new in (version, *changes):
            file = folder / "migprov" / name
            assert old in file.read_text()
            file.write_text(file.read_text().replace(old, new))
        return str(folder)

    return make


def test_a_package_of_another_version_is_a_warning(
    controller: Controller, another: Callable[..., str], make_fleet: Callable[..., Fleet]
) -> None:
    fleet = make_fleet(nodes=2, gpus="1xT4")
    folder = another()
    command = ["-i", str(fleet.inventory), "gpu_nodes", "-m", "migprov.gpu.mig_info"]
    done = call(
        [controller.python, "-m", "ansible", "adhoc", *command], controller.folder, **controller.env, PYTHONPATH=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    warning = f"the package migprov 7.0.0 (in {folder}/migprov)"
    assert said.count(warning) == 1, said
    assert f"migprov.gpu is {migprov.__version__} (in {controller.collections}/ansible_collections/migprov/gpu)" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("connect/command.py", "PROTOCOL = 1", "PROTOCOL = 2"), ["protocol 1", "protocol 2"]),
        (("connect/who.py", "def who(", "def whoever("), ["cannot import name 'who'"]),
    ],
    ids=["protocol", "names"],
)
def test_a_package_that_does_not_fit_is_refused(
    controller: Controller, another: Callable[..., str], change: tuple[str, str, str], words: list[str]
) -> None:
    said = refusal(controller.python, controller, PYTHONPATH=another(change))
    for word in [*words, "migprov 7.0.0"]:
        assert word in said
