# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The migprov package on the control node, or what to do when it is not there.

Everything of the collection that needs the package imports it from here, so that its absence is one clear message
instead of a plugin that cannot be loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

from ansible.utils.display import Display

from .refusal import Refusal

VERSION = "0.1.0"
"""Of this collection; the package's has to be the same. galaxy.yml has it too."""
PROTOCOL = 1
"""What this collection puts into a request to the node program, and expects in its reply."""

try:
    from migprov import layouts
    from migprov.connect import command
    from migprov.connect.holders import holders
    from migprov.connect.program import Program, program
    from migprov.connect.who import who
    from migprov.errors import BadReply, NodeError, ProgramMissing, SudoRefused
    from migprov.mig.errors import MigError
    from migprov.mig.text import describe, describe_step
except ImportError as error:
    MISSING: ImportError | None = error
else:
    MISSING = None
    # Ansible imports a plugin before it forks a worker for each node and task: built here, the program is built once a
    # run. What is wrong with it is told where it is needed.
    with contextlib.suppress(RuntimeError):
        program()

__all__ = [
    "PROTOCOL",
    "BadReply",
    "MigError",
    "NodeError",
    "ProgramMissing",
    "SudoRefused",
    "command",
    "describe",
    "describe_step",
    "holders",
    "layouts",
    "node_program",
    "require",
    "who",
]


def require() -> None:
    """Raise Refusal, naming the interpreter, when the package cannot be imported or speaks another protocol.

    A package of another version that speaks the same protocol is a warning.
    """
    other = _other_version()
    if MISSING is not None:
        raise Refusal(
            f"The collection migprov.gpu needs the Python package migprov on the control node, and {sys.executable}, "
            f"which runs Ansible, cannot import it ({MISSING}). {other}Nothing was contacted or changed. Next: install "
            f"migprov {VERSION}, whose wheel also brings this collection, for that interpreter.",
            code="internal",
        )
    if command.PROTOCOL != PROTOCOL:
        raise Refusal(
            f"The collection migprov.gpu speaks protocol {PROTOCOL} to the node program, the Python package migprov "
            f"protocol {command.PROTOCOL}. {other}Nothing was contacted or changed. Next: install both in one version.",
            code="internal",
        )
    if other:
        Display().warning(f"{other}They speak the same protocol, but were not tested together.")


def _other_version() -> str:
    """Which versions they are and where, when package and collection differ; a sentence, or nothing."""
    try:
        package = importlib.import_module("migprov")
        version, path = str(package.__version__), Path(str(package.__file__)).parent
    except (ImportError, AttributeError):
        return ""
    if version == VERSION:
        return ""
    collection = Path(__file__).parents[2]
    return f"The collection migprov.gpu is {VERSION} (in {collection}), the package migprov {version} (in {path}). "


def node_program() -> Program:
    """The node program; raises Refusal when it cannot be built here."""
    try:
        return program()
    except RuntimeError as error:
        raise Refusal(
            f"The node program cannot be built on the control node: {error} (for {sys.executable}). Nothing was "
            "contacted or changed.",
            code="internal",
        ) from None
