"""Every error code, with the class that has it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import migprov
from migprov.errors import MigprovError
from migprov.mig.errors import MigError

from . import text


def codes() -> dict[str, list[type[Any]]]:
    """The classes that give a code; those that only inherit one are left out."""
    for found in pkgutil.walk_packages(migprov.__path__, "migprov."):
        if found.name.rpartition(".")[2] == "errors":
            importlib.import_module(found.name)
    rows: dict[str, list[type[Any]]] = {}
    for base in (MigprovError, MigError):
        for kind in [base, *_below(base)]:
            if isinstance(kind.__dict__.get("code"), str) and not kind.__module__.startswith("migprov.sim"):
                rows.setdefault(kind.code, []).append(kind)
    return dict(sorted(rows.items()))


def _below(base: type[Any]) -> list[type[Any]]:
    return [each for kind in base.__subclasses__() for each in (kind, *_below(kind))]


def page() -> str:
    rows = [
        (
            text.code(code),
            ", ".join(text.code(f"{kind.__module__}.{kind.__name__}") for kind in kinds),
            text.plain((inspect.getdoc(kinds[0]) or "").partition("\n\n")[0].replace("`", "")),
        )
        for code, kinds in codes().items()
    ]
    return text.page(
        "Error codes",
        "What `error.code` of a reply, of `--json` and of Ansible's results can be, and the `code` of exceptions.",
        "What to do about each stands in [operations](../operations.md#the-codes).\n",
        text.table(("code", "raised as", "meaning"), rows),
    )
