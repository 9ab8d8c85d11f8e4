"""The packages, each built once, and a control node that has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .packages import build_collection, build_wheel, environment, run, site_packages

ORDINARY = "nobody"


@dataclass
class Controller:
    """A control node as an execution environment is one: the wheel for Python, the collection out of its tarball."""

    folder: Path
    """Open to other users."""
    python: Path
    collections: Path
    user: dict[str, Any]
    """For subprocess: to be an ordinary user where the interpreter lets it, otherwise nothing."""

    @property
    def env(self) -> dict[str, str]:
        """What says where the collection is and the programs are."""
        path = f"{self.python.parent}:{os.environ['PATH']}"
        return {"PATH": path, "ANSIBLE_COLLECTIONS_PATH": str(self.collections), "ANSIBLE_NOCOLOR": "1"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_collection(tmp_path_factory.mktemp("tarball"))


@pytest.fixture(scope="session")
def controller(wheel: Path, tarball: Path) -> Iterator[Controller]:
    with tempfile.TemporaryDirectory(prefix="migprov-controller-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        base, user = _for_everybody()
        python = environment(folder / "venv", wheel, base=base)
        # What the wheel itself brings must not be what is found.
        shutil.rmtree(site_packages(python) / "ansible_collections")
        collections = folder / "collections"
        galaxy = [python, "-m", "ansible", "galaxy", "collection", "install", tarball, "-p", collections]
        run(galaxy, folder, ANSIBLE_COLLECTIONS_PATH=str(collections))
        yield Controller(folder, python, collections, user)


def _for_everybody() -> tuple[str, dict[str, Any]]:
    """An interpreter of this one's version that an ordinary user may run, and that user; else this one."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    user: dict[str, Any] = {"user": ORDINARY, "group": "nogroup", "extra_groups": []}
    probe = (
        f"import sys, venv; sys.path.append({sysconfig.get_path('purelib')!r}); import ansible, cryptography.x509, yaml"
    )
    for base in (shutil.which(version, path="/usr/bin:/usr/local/bin"), sys.executable):
        if base and os.geteuid() == 0:
            with suppress(PermissionError):  # a folder above it is closed to others, as /root is
                tried = subprocess.run([base, "-c", probe], cwd="/", capture_output=True, check=False, **user)
                if tried.returncode == 0:
                    return base, user
    return sys.executable, {}
