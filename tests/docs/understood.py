"""What cannot be run is at least understood: options and arguments, targets, playbooks, names."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
from types import ModuleType

import click

from migprov.cli.main import group

from . import pages

_ENDS = (">", ">>", "|", "&&", "||", "2>&1", ";")


def command(text: str) -> None:
    """Fails where the command, or one that it is followed by, cannot be what the page says."""
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    words = shlex.split(text.replace("\\\n", " "), comments=True)
    while words:
        end = next((i for i, word in enumerate(words) if word in _ENDS), len(words))
        one = words[:end]
        while one and re.match(r"[A-Z_]+=", one[0]):
            one = one[1:]
        if one:
            _one(one)
        words = words[end + 1 :]


def _one(words: list[str]) -> None:
    if words[0] == "migprov":
        _migprov(words[1:])
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (pages.ROOT / "Makefile").read_text(), re.MULTILINE)
        named = [word for word in words[1:] if "=" not in word]
        assert set(named) <= set(targets), words
    elif words[0] == "ansible-playbook":
        for book in (word for word in words[1:] if re.match(r"migprov\.gpu\.\w+$", word)):
            assert (pages.ROOT / "playbooks" / f"{book.rpartition('.')[2]}.yml").exists(), book
    elif words[0] in ("ansible", "ansible-doc"):
        for module in (word for word in words[1:] if re.match(r"migprov\.gpu\.\w+$", word)):
            assert (pages.ROOT / "plugins" / "modules" / f"{module.rpartition('.')[2]}.py").exists(), module
    elif words[0].startswith("scripts/"):
        assert (pages.ROOT / words[0]).exists(), words


def _migprov(words: list[str]) -> None:
    one: click.Command = group
    context = click.Context(group, info_name="migprov")
    rest = list(words)
    while isinstance(one, click.Group) and rest and not rest[0].startswith("-"):
        found = one.get_command(context, rest.pop(0))
        assert found is not None, words
        one = found
    if rest not in (["--version"], ["--help"]):
        one.make_context(one.name or "", rest, parent=context)


def python(text: str, where: str) -> None:
    """Its imports work, and what it takes of imported modules is there."""
    tree = ast.parse(text, where)
    names: dict[str, object] = {}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    for each in imports:
        exec(compile(ast.Module([each], []), where, "exec"), names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            holder = names.get(node.value.id)
            if isinstance(holder, ModuleType) and not hasattr(holder, node.attr):
                importlib.import_module(f"{holder.__name__}.{node.attr}")
