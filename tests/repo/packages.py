"""What is handed out, built and installed as a user does it: the wheel, the collection's tarball, environments."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def call(command: Sequence[object], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user has it: nothing says where the collection is, unless `environment` does."""
    own = {name: value for name, value in os.environ.items() if name != "ANSIBLE_COLLECTIONS_PATH"}
    words, null = [str(word) for word in command], subprocess.DEVNULL
    return subprocess.run(
        words, cwd=cwd, env=own | environment, stdin=null, capture_output=True, text=True, check=False
    )


def run(command: Sequence[object], cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; returns its standard output."""
    done = call(command, cwd, **environment)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheel(dist: Path) -> Path:
    """The wheel that is built from the source distribution, so that both are complete."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", dist], ROOT)
    (sdist,) = dist.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    run([*pip, "-w", dist, sdist], dist)
    return next(dist.glob("*.whl"))


def build_collection(dist: Path) -> Path:
    """The tarball of the collection."""
    run([program("ansible-galaxy"), "collection", "build", "--output-path", dist], ROOT)
    return next(dist.glob("migprov-gpu-*.tar.gz"))


def program(name: str) -> Path:
    """A program of this environment."""
    return Path(sys.executable).with_name(name)


def environment(folder: Path, *wheels: Path, base: str = sys.executable) -> Path:
    """The interpreter of a fresh environment that has the wheels, and the dependencies of this one by a path.

    The editable install of this environment does not leak: a path in a .pth file is searched for packages, but
    the .pth files that lie there are not read.
    """
    run([base, "-m", "venv", "--without-pip", folder], folder.parent)
    python = folder / "bin" / "python"
    if wheels:
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", *wheels]
        run(pip, folder.parent)
    (site_packages(python) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # A program that the dependencies would have brought, for ansible-runner.
    playbook = python.with_name("ansible-playbook")
    playbook.write_text(f"#!{python}\nfrom ansible.cli.playbook import main\nmain()\n")
    playbook.chmod(0o755)
    return python


def site_packages(python: Path) -> Path:
    """Where the interpreter of a fresh environment has its packages."""
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    return site
