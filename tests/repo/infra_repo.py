"""docs/infra-repo, the template of a repository of somebody's own: its workflow, step by step, as a runner would.

Not part of `make test`, since it takes about a minute: `make infra-repo`, which `.ci/run` calls.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml

from .packages import ROOT, call, environment, run, site_packages

TEMPLATE = ROOT / "docs" / "infra-repo"
WORKFLOW = Path(".github/workflows/ci.yml")
PROGRAMS = ("ansible", "ansible-config", "ansible-galaxy", "ansible-inventory", "ansible-lint", "molecule", "pip")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: OpenSSH's control sockets lie below the home in it."""
    with tempfile.TemporaryDirectory(prefix="infra-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def checkout(place: Path, wheel: Path) -> Path:
    """A copy of the template, with the wheel where its requirements.txt looks for it."""
    folder = place / "checkout"
    shutil.copytree(TEMPLATE, folder)
    (folder / "wheels").mkdir()
    shutil.copy(wheel, folder / "wheels")
    return folder


@pytest.fixture
def runner(place: Path) -> dict[str, str]:
    """The environment of a machine that has OpenSSH and no C compiler, and a Python that has all but migprov."""
    python = environment(place / "python")
    site = site_packages(python)
    others = place / "others"
    others.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("migprov", "_migprov")) and path.suffix != ".pth":
            (others / path.name).symlink_to(path)
    (site / "dependencies.pth").write_text(f"{others}\n")
    for name in PROGRAMS:
        _write_program(python, name)
    tools = place / "tools"
    tools.mkdir()
    for folder in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for path in Path(folder).glob("*"):
            if path.name != "cc" and not (tools / path.name).is_symlink():
                (tools / path.name).symlink_to(path)
    home = place / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "PATH": f"{python.parent}:{tools}",
        # What zig compiles once for this machine may stay; the simulated driver is made anew.
        "XDG_CACHE_HOME": str(home / ".cache"),
        "ZIG_GLOBAL_CACHE_DIR": str(Path(os.environ["XDG_CACHE_HOME"]) / "zig"),
        # The dependencies are there, and migprov is in wheels/: nothing is to be asked for.
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "ANSIBLE_HOME": str(home / ".ansible"),
    }


def _write_program(python: Path, name: str) -> None:
    found = distributions(path=[sysconfig.get_path("purelib")])
    (point,) = {each for one in found for each in one.entry_points.select(group="console_scripts", name=name)}
    file = python.with_name(name)
    file.write_text(f"#!{python}\nimport sys\nfrom {point.module} import {point.attr}\nsys.exit({point.attr}())\n")
    file.chmod(0o755)


@pytest.mark.timeout(900)
def test_every_step_of_the_workflow(checkout: Path, runner: dict[str, str]) -> None:
    (job,) = yaml.safe_load((checkout / WORKFLOW).read_text())["jobs"].values()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert any("molecule test" in step for step in steps)
    said = ""
    try:
        for step in steps:
            done = call(["bash", "-e", "-o", "pipefail", "-c", step], checkout, **runner)
            said += done.stdout + done.stderr
            assert done.returncode == 0, f"{step}\n{said}"
    finally:
        # Nothing to do when the last step has done it.
        call(["molecule", "destroy"], checkout, **runner)
    # What was tried is the wheel, and the simulated driver was compiled by what it brings.
    python = Path(runner["PATH"].partition(":")[0], "python")
    where = run([python, "-c", "import migprov; print(migprov.__file__)"], checkout, **runner)
    assert Path(where.strip()).is_relative_to(site_packages(python))
    assert shutil.which("cc", path=runner["PATH"]) is None
    assert len(list(Path(runner["XDG_CACHE_HOME"], "migprov", "sim").iterdir())) == 1
    assert "1 scenario (1 successful)" in said
