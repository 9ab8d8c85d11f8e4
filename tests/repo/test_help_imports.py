"""What somebody who only asks for help must not wait for: counted in modules, not in time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = {
    "ansible", "ansible_runner", "cryptography", "highspy", "jinja2", "jsonschema", "kubernetes", "numpy", "paramiko",
    "pynvml", "requests", "rich", "yaml",
}  # fmt: skip
MOST_MODULES_OF_OURS = 12
"""Of `migprov --help` and `--version`: the package, the group, errors, results, output, exit codes."""

ALL_PAGES = """
import contextlib, io, json, sys
from migprov.cli.main import group, run

def pages(command, words):
    yield words
    for name in getattr(command, "commands", None) or (command.list_commands(None) if not words else ()):
        yield from pages(command.get_command(None, name), [*words, name])

loaded, before = {}, set()
for words in pages(group, []):
    with contextlib.redirect_stdout(io.StringIO()) as page:
        code = run([*words, "--help"])
    assert code == 0 and page.getvalue().startswith("Usage: "), words
    now = {name.partition(".")[0] for name in sys.modules}
    loaded[" ".join(words)] = sorted(now - before)
    before |= now
print(json.dumps(loaded))
"""


def imported(tmp_path: Path, *words: str) -> set[str]:
    """Every module that a call of the command imports, by the interpreter's own report."""
    command = [sys.executable, "-X", "importtime", "-m", "migprov.cli", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_help_and_version_import_next_to_nothing(tmp_path: Path) -> None:
    for option in ("--help", "--version"):
        modules = imported(tmp_path, option)
        assert "migprov.cli.main" in modules
        assert {name.partition(".")[0] for name in modules} & HEAVY == set()
        ours = sorted(name for name in modules if name.partition(".")[0] == "migprov")
        assert len(ours) <= MOST_MODULES_OF_OURS, ours


def test_the_help_of_every_command_imports_no_heavy_library(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ALL_PAGES], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert {"", "info", "plan", "rollout", "render slurm", "sim up"} <= loaded.keys()
    heavy = {page: found for page, modules in loaded.items() if (found := sorted(HEAVY & set(modules)))}
    # Making keys and inventories is what these are about, and they travel with the first of the group.
    assert {page: found for page, found in heavy.items() if not page.startswith("sim")} == {}
    assert set().union(*heavy.values()) <= {"cryptography", "yaml"}
