"""What is handed out, on every Python that is promised: `make sanity` runs this.

    python tests/repo/pythons.py [VERSION...]

Builds the source distribution and the wheel, lets twine judge them, and installs them from the package index into
fresh environments of Python 3.11, 3.12 and 3.13, and once with the oldest dependencies that pyproject.toml allows. In
each, an empty folder is all there is for the commands that follow. A Python that this machine does not have is named
and left out.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from packages import build_wheel, run, site_packages  # type: ignore[import-not-found]

VERSIONS = ("3.11", "3.12", "3.13")
OLDEST = "oldest"

LAYOUTS = """\
version: v1
mig-configs:
  halves:
    - devices: [1]
      mig-enabled: true
      mig-devices: {3g.40gb: 2}
"""
WORKLOADS = """\
version: v1
workloads:
  - {name: speech, memory: 9.6 GiB, replicas: 2}
"""
IMPORT_ALL = """
import importlib, pkgutil, sys, migprov
names = [each.name for each in pkgutil.walk_packages(migprov.__path__, "migprov.")]
for name in names:
    if name.endswith((".__main__", ".bootstrap", ".quick")):  # programs
        continue
    try:
        importlib.import_module(name)
    except ImportError as error:
        # The one dependency that is an extra.
        if (error.name or "").partition(".")[0] != "kubernetes":
            raise
assert len(names) > 100, names
"""
COMMANDS = f"""
migprov --version
python -c '{IMPORT_ALL.replace("'", '"')}'
migprov sim up --nodes 2 --gpus 2xA100-80GB
migprov info -i migprov-sim/inventory.yml
migprov apply layouts.yml halves -i migprov-sim/inventory.yml --limit gpu1
migprov verify layouts.yml halves -i migprov-sim/inventory.yml --limit gpu1
migprov plan workloads.yml -i migprov-sim/inventory.yml --limit gpu2 --json > plan.json
migprov report --plan plan.json --workloads workloads.yml -o report.html
ansible gpu1 -i migprov-sim/inventory.yml -m migprov.gpu.mig_verify -a 'file=layouts.yml name=halves'
migprov rollout layouts.yml halves -i migprov-sim/inventory.yml
ansible-playbook migprov.gpu.verify -i migprov-sim/inventory.yml -e 'mig_layouts_file=layouts.yml mig_layout=halves'
migprov sim down
test ! -e migprov-sim
"""


def interpreter(version: str) -> Path | None:
    """A Python of that version that runs and can make environments; pyenv's stand-ins on PATH may do neither."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found: list[Any] = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for path in filter(None, found):
        probe = [path, "-c", f"import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != {(*_numbers(version),)})"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return Path(path)
    return None


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def fresh(base: Path, folder: Path) -> Path:
    """The interpreter of a new environment with pip."""
    run([base, "-m", "venv", folder], folder.parent)
    return folder / "bin" / "python"


def pip(python: Path, *words: str | Path) -> None:
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words], python.parent)


def files_of(python: Path) -> set[str]:
    """What is installed of migprov, package and collection."""
    site = site_packages(python)
    folders = (site / "migprov", site / "ansible_collections" / "migprov")
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(site)) for path in found}


def use(python: Path, folder: Path) -> None:
    """Run the commands in an empty folder of somebody who has nothing but this environment."""
    empty, home = folder / "empty", folder / "home"
    empty.mkdir()
    home.mkdir()
    (empty / "layouts.yml").write_text(LAYOUTS)
    (empty / "workloads.yml").write_text(WORKLOADS)
    environment = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(folder.parent / "cache"),  # the compiled simulated driver, once for all
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
    }
    bash: list[str | Path] = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), "bash", "-c"]
    try:
        run([*bash, "set -eu\n" + COMMANDS], empty)
    finally:
        # Nothing to do when the last commands have done it.
        subprocess.run([*bash, "migprov sim down"], cwd=empty, capture_output=True, check=False)


def newest(base: Path, folder: Path, dist: Path, tools: Path) -> None:
    """The wheel, used; then the source distribution, which must install the same files."""
    python = fresh(base, folder / "venv")
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    pip(python, f"{wheel}[sim]")
    use(python, folder)
    of_wheel = files_of(python)
    pip(python, "--no-deps", "--force-reinstall", sdist)
    assert files_of(python) == of_wheel, files_of(python) ^ of_wheel


def oldest(base: Path, folder: Path, dist: Path, tools: Path) -> None:
    """The wheel with the lowest versions that it allows of what it asks for itself."""
    python = fresh(base, folder / "venv")
    (wheel,) = dist.glob("*.whl")
    uv = [tools.with_name("uv"), "pip", "install", "--quiet", "--python", python, "--resolution", "lowest-direct"]
    run([*uv, f"{wheel}[sim]"], folder)
    use(python, folder)


def main(wanted: list[str]) -> int:
    """Try each; returns the exit code."""
    failed = False
    # What was begun is ended also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="migprov-pythons-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        dist = work / "dist"
        build_wheel(dist)
        tools = fresh(Path(sys.executable), work / "tools")
        pip(tools, "twine", "uv")
        run([tools, "-m", "twine", "check", "--strict", *dist.iterdir()], work)
        print(f"twine check: {', '.join(sorted(path.name for path in dist.iterdir()))}: good", flush=True)
        for version in wanted or [*VERSIONS, OLDEST]:
            base = interpreter(VERSIONS[0] if version == OLDEST else version)
            title = f"Python {VERSIONS[0]}, oldest dependencies" if version == OLDEST else f"Python {version}"
            if base is None:
                print(f"{title}: skipped, this machine has none", flush=True)
                continue
            folder = work / version
            folder.mkdir()
            attempt: Callable[[Path, Path, Path, Path], None] = oldest if version == OLDEST else newest
            begun = time.monotonic()
            try:
                attempt(base, folder, dist, tools)
            except AssertionError as error:
                failed = True
                print(f"{title}: FAILED\n{error}", flush=True)
            else:
                print(f"{title} ({base}): good, {time.monotonic() - begun:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
