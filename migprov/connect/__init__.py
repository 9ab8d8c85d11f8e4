"""Ship the node program and call it: over SSH, or on this machine. `migprov.connect("gpu1")` opens a Node.

This package can be called. `migprov.connect` must be the function that people expect, and
`from migprov.connect.program import program` must work as well; importing any module of a package makes
the package an attribute of its parent, so a function of the same name in `migprov` would be lost there.
Giving the module a class with `__call__` is what the language offers for this (the data model's "Customizing
module attribute access"), and it leaves both spellings true in every order of imports. Type checkers see
the function itself (`migprov/__init__.py`).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .node import Node


class _Connect(ModuleType):
    def __call__(self, host: str, **options: Any) -> Node:
        from .node import connect

        return connect(host, **options)


sys.modules[__name__].__class__ = _Connect
