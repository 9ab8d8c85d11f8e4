"""migprov: find hollow GPUs and move a fleet to the MIG layout that frees the most cards.

    import migprov

    with migprov.connect("gpu1", become=True) as node:
        layout = migprov.layouts.load("layouts.yml").layout("speech")
        result = node.layout(layout, check=True)

Names are loaded when they are first used, so that `import migprov` is quick and needs no paramiko.
`migprov.connect` is the package of that name, and it can be called: see `migprov/connect/__init__.py`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import layouts
    from .connect.node import Node, connect, local
    from .connect.target import Target
    from .errors import (
        AuthFailed,
        BadReply,
        BadRequest,
        CallTimeout,
        CannotStore,
        ConnectionLost,
        FleetError,
        FleetInterrupted,
        HostKeyChanged,
        HostKeyError,
        HostKeyUnknown,
        InventoryError,
        LayoutFileError,
        MigprovError,
        NodeError,
        NodeFailed,
        NoPython,
        PythonTooOld,
        SudoRefused,
        Unreachable,
        UnsafeFolder,
    )
    from .fleet.run import run
    from .result import Result

__version__ = "0.1.0"

__all__ = [
    "AuthFailed",
    "BadReply",
    "BadRequest",
    "CallTimeout",
    "CannotStore",
    "ConnectionLost",
    "FleetError",
    "FleetInterrupted",
    "HostKeyChanged",
    "HostKeyError",
    "HostKeyUnknown",
    "InventoryError",
    "LayoutFileError",
    "MigprovError",
    "NoPython",
    "Node",
    "NodeError",
    "NodeFailed",
    "PythonTooOld",
    "Result",
    "SudoRefused",
    "Target",
    "Unreachable",
    "UnsafeFolder",
    "__version__",
    "connect",
    "layouts",
    "local",
    "run",
]

_ELSEWHERE = {
    "Node": ".connect.node",
    "local": ".connect.node",
    "Target": ".connect.target",
    "Result": ".result",
    "run": ".fleet.run",
}


def __getattr__(name: str) -> Any:
    if name in ("connect", "layouts"):
        return importlib.import_module(f".{name}", __name__)
    if name in __all__:
        return getattr(importlib.import_module(_ELSEWHERE.get(name, ".errors"), __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
