"""Runs the node program from its compiled twin (twin.py). Is the first part of the twin: Python 3.8.

Nothing is imported here but what every Python has in it, and a module of the program only when it is asked for.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec

_COLLECT_AFTER = 100_000  # new containers; Python's own 700 is reached dozens of times by the imports alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    Modules = dict[str, tuple[bool, str, bytes]]
    Twin = tuple[Any, int, Modules, dict[str, bytes]]


class Kept:
    """Finds and loads the modules of a twin. ``descriptor`` is the open twin, which outlives its name.

    ``root`` is the program's name; modules and data are told by paths below it.
    """

    def __init__(self, twin: Twin, root: str, descriptor: int) -> None:
        self.descriptor = descriptor
        self._modules = twin[2]
        self._data = twin[3]
        self._root = root

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """As the import system wants it; None for what is not of the program."""
        if name not in self._modules:
            return None
        loader: Any = self
        package, file, _ = self._modules[name]
        spec = ModuleSpec(name, loader, origin=self._root + "/" + file, is_package=package)
        spec.has_location = True
        return spec

    def create_module(self, spec: object) -> None:
        """As the import system wants it: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """As the import system wants it."""
        exec(self.code(module.__name__), module.__dict__)

    def code(self, name: str) -> Any:
        """The compiled module."""
        return marshal.loads(self._modules[name][2])

    def get_data(self, path: str) -> bytes:
        """The content of a file of the program; raises OSError."""
        try:
            return self._data[path[len(self._root) + 1 :]]
        except KeyError:
            raise OSError("there is no %s" % path) from None


def offer(twin: Twin, root: str, descriptor: int) -> Kept:
    """Let the modules of the twin be imported."""
    kept = Kept(twin, root, descriptor)
    finder: Any = kept
    sys.meta_path.insert(0, finder)
    return kept


def run(twin: Twin, root: str, descriptor: int, request: str) -> None:
    """Run the program; ``request`` is a file with the request, or ``-`` for standard input."""
    if request != "-":
        os.dup2(os.open(request, os.O_RDONLY), 0)
    sys.argv[:] = [root]
    # A request is answered before there is anything worth collecting; one that waits for hours still collects.
    gc.set_threshold(_COLLECT_AFTER)
    exec(offer(twin, root, descriptor).code("__main__"), {"__name__": "__main__"})
