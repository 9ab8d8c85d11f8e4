"""The public names of the package, for Sphinx's autodoc."""

from __future__ import annotations

import importlib
import inspect

from . import text

MODULES = {
    "migprov": "Nodes and layouts",
    "migprov.layouts": "Layout files",
    "migprov.fleet": "Many nodes at once",
    "migprov.fleet.inventory": "Inventories",
    "migprov.fleet.roll": "Rolls",
    "migprov.fleet.slurm": "Slurm",
    "migprov.fleet.kubernetes": "Kubernetes",
    "migprov.capacity.workloads_file": "Workloads files",
    "migprov.capacity.model": "Workloads, cards and plans",
    "migprov.capacity.planner": "The planner",
    "migprov.capacity.advise": "The adviser",
}


def names(module: str) -> list[str]:
    """What a module offers: its `__all__`, else what it defines itself without a leading underscore."""
    found = importlib.import_module(module)
    if listed := getattr(found, "__all__", None):
        return [name for name in listed if not name.startswith("__")]
    return [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module
    ]


def page() -> str:
    parts = ["What is not here is not public and may change. Names are as they are imported.\n"]
    for module, title in MODULES.items():
        parts += [f"## {title}: `{module}`\n", "```{eval-rst}", f".. currentmodule:: {module}\n"]
        values = {name: getattr(importlib.import_module(module), name) for name in names(module)}
        for name in sorted(values, key=lambda name: (_is_error(values[name]), name)):
            parts += _directive(name, values[name])
        parts.append("```\n")
    return text.page("Python", *parts)


def _is_error(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseException)


def _directive(name: str, value: object) -> list[str]:
    if inspect.isclass(value):
        kind = "autoexception" if _is_error(value) else "autoclass"
        return [f".. {kind}:: {name}", "   :members:", "   :show-inheritance:", ""]
    if inspect.ismodule(value):
        # `migprov.connect` is a package that can be called; `migprov.layouts` has a section of its own.
        return [".. autofunction:: migprov.connect.node.connect", ""] if callable(value) else []
    return [f".. autofunction:: {name}" if callable(value) else f".. autodata:: {name}", ""]
