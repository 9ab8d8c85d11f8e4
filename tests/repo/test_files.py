"""The files of the checkout: modes, versions, licences."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import migprov

ROOT = Path(__file__).resolve().parents[2]


def project_files() -> list[Path]:
    """What git knows or would add; everything when this is not a git checkout."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def test_no_file_is_writable_by_everybody() -> None:
    assert [str(path) for path in project_files() if path.stat().st_mode & stat.S_IWOTH] == []


def test_a_file_is_executable_exactly_when_it_names_its_interpreter() -> None:
    # Ansible runs its modules through the interpreter of its choice, and ansible-test refuses their executable bit;
    # wheels and copies onto nodes do not keep the bit, so what lies in the package gets it where it is put.
    by_others = (ROOT / "plugins" / "modules", ROOT / "benchmarks" / "library", ROOT / "migprov", ROOT / "molecule")
    wrong = []
    for path in project_files():
        with path.open("rb") as file:
            names_interpreter = file.read(2) == b"#!"
        executable = os.access(path, os.X_OK)
        exempt = any(folder in path.parents for folder in by_others)
        if (executable and not names_interpreter) or (names_interpreter and not executable and not exempt):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


def test_there_are_no_symbolic_links() -> None:
    """ansible-galaxy and source distributions each lose or refuse some of them."""
    assert [str(path) for path in project_files() if path.is_symlink()] == []


def test_one_version_everywhere() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    changelog = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert galaxy["version"] == migprov.__version__
    assert version("migprov") == migprov.__version__
    assert changelog[0] == migprov.__version__


def test_every_plugin_carries_the_licence_that_ansible_asks_for() -> None:
    plugins = [path for path in (ROOT / "plugins").rglob("*.py") if path.stat().st_size]
    assert plugins
    missing = [str(path) for path in plugins if "GNU General Public License v3.0+" not in path.read_text()[:600]]
    assert missing == []
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "plugins" / "COPYING").read_text()[:200]


def test_links_between_the_documents_lead_somewhere() -> None:
    dead = []
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "roles").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            if not (document.parent / target).exists():
                dead.append(f"{document.relative_to(ROOT)}: {target}")
    assert dead == []
