"""Imports run one way, as docs/architecture.md draws it; what travels to the nodes stays plain Python 3.8."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "migprov"
SHARED = {"errors", "result"}

# Layer -> the layers that it may import, besides itself.
ARROWS: dict[str, set[str]] = {
    "mig": set(),
    "node": {"mig"},
    "layouts": {"mig", *SHARED},
    "errors": {"mig", "result"},
    "result": {"mig", "errors"},
    "connect": {"mig", "node", "layouts", *SHARED},
    "fleet": {"mig", "node", "layouts", "connect", *SHARED},
    "capacity": {"mig", "node", "layouts", "connect", "fleet", *SHARED},
    "render": {"mig", "layouts", "fleet", "capacity", *SHARED},
    "report": {"mig", "layouts", "connect", "fleet", "capacity", "render", "", *SHARED},
    "cli": {"mig", "node", "layouts", "connect", "fleet", "capacity", "render", "report", "", *SHARED},
    "sim": {"mig", *SHARED},
    "": {"mig", "node", "layouts", "connect", "fleet", *SHARED},  # migprov/__init__.py
}
SHIPPED = ("mig", "node")
# What a dependency is called where it is imported.
IMPORT_NAMES = {
    "ansible-core": "ansible",
    "ansible-runner": "ansible_runner",
    "nvidia-ml-py": "pynvml",
    "pyyaml": "yaml",
}


class Import(NamedTuple):
    """One imported module, by its absolute name."""

    file: Path
    line: int
    module: str
    relative: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    @property
    def layer(self) -> str | None:
        """The layer of migprov that it belongs to; None when it is not ours."""
        parts = self.module.split(".")
        if parts[0] != "migprov":
            return None
        return parts[1] if len(parts) > 1 and layer_exists(parts[1]) else ""

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def layer_exists(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def python_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def layer_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else parts[0].removesuffix(".py").replace("__init__", "")


def imports(file: Path) -> Iterator[Import]:
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, relative=False)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                yield Import(file, node.lineno, f"{module}.{alias.name}", relative=node.level > 0)


def all_imports(folder: Path) -> list[Import]:
    return [each for file in python_files(folder) for each in imports(file)]


def declared_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["sim"], *extras["kubernetes"]]
    names = {line.split(";")[0].strip(" ").lower() for line in lines}
    bare = {name.split(">")[0].split("<")[0].split("=")[0].strip() for name in names}
    return {IMPORT_NAMES.get(name, name) for name in bare}


def test_every_layer_is_known() -> None:
    assert {layer_of(file) for file in python_files(PACKAGE)} <= set(ARROWS)


def test_layers_import_only_what_is_below_them() -> None:
    wrong = []
    for each in all_imports(PACKAGE):
        own = layer_of(each.file)
        to_sim = each.layer == "sim" and own == "cli" and "sim" in each.file.name
        if each.layer is not None and each.layer != own and each.layer not in ARROWS[own] and not to_sim:
            wrong.append(str(each))
    assert wrong == []


def test_the_arrows_see_a_wrong_import() -> None:
    file = PACKAGE / "mig" / "example.py"
    tree = ast.parse("from ..node import act").body[0]
    assert isinstance(tree, ast.ImportFrom)
    assert Import(file, 1, "migprov.node.act", relative=True).layer not in ARROWS[layer_of(file)]


def test_shipped_code_uses_the_standard_library_alone() -> None:
    allowed = sys.stdlib_module_names | {"migprov"}
    foreign = [
        str(each)
        for layer in SHIPPED
        for each in all_imports(PACKAGE / layer)
        if each.top not in allowed and not (each.top == "pynvml" and each.file == PACKAGE / "node" / "nvml.py")
    ]
    assert foreign == []


def test_shipped_code_imports_its_own_relatively() -> None:
    absolute = [
        str(each)
        for layer in SHIPPED
        for each in all_imports(PACKAGE / layer)
        if each.layer is not None and not each.relative
    ]
    assert absolute == []


def test_only_one_file_of_the_product_knows_pynvml() -> None:
    users = {each.file for each in all_imports(PACKAGE) if each.top == "pynvml" and layer_of(each.file) != "connect"}
    assert users == {PACKAGE / "node" / "nvml.py"}


def test_other_packages_are_declared() -> None:
    allowed = sys.stdlib_module_names | declared_dependencies() | {"migprov"}
    undeclared = [str(each) for each in all_imports(PACKAGE) if each.top not in allowed]
    assert undeclared == []


def test_plugins_use_the_library_but_neither_command_line_nor_simulation() -> None:
    wrong = [str(each) for each in all_imports(ROOT / "plugins") if each.layer in {"cli", "sim"}]
    assert wrong == []


@pytest.mark.parametrize("layer", SHIPPED)
def test_shipped_code_is_python_38(layer: str) -> None:
    for file in python_files(PACKAGE / layer):
        ast.parse(file.read_text(), str(file), feature_version=(3, 8))


def interpreters() -> list[str]:
    """One interpreter for each version from 3.8 to 3.13 that the machine has, by its real path."""
    found: dict[str, str] = {}
    versions = [f"3.{minor}" for minor in range(8, 14)]
    for version in versions:
        pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
        candidates = [str(pyenv[-1])] if pyenv else []
        candidates += filter(None, [shutil.which(f"python{version}")])
        for candidate in candidates:
            probe = "import sys; print('%d.%d' % sys.version_info[:2])"
            answer = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                found.setdefault(version, candidate)
    return list(found.values())


@pytest.mark.parametrize("python", interpreters())
def test_shipped_code_compiles_under(python: str) -> None:
    files = [str(file) for layer in SHIPPED for file in python_files(PACKAGE / layer)]
    program = "import sys\nfor f in sys.argv[1:]: compile(open(f, encoding='utf-8').read(), f, 'exec')"
    answer = subprocess.run([python, "-c", program, *files], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
