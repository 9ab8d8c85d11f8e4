# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The migprov package on the control node, or what to do when it is not there.

Everything of the collection that needs the package imports it from here, so that its absence is one clear message
instead of a plugin that cannot be loaded.
"""

from __future__ import annotations

import contextlib
import sys

from ansible.errors import AnsibleActionFail

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
    """Raise AnsibleActionFail, naming the interpreter, when the package cannot be imported."""
    if MISSING is None:
        return
    raise AnsibleActionFail(
        f"The collection migprov.gpu needs the Python package migprov on the control node, and {sys.executable}, which "
        f"runs Ansible, cannot import it ({MISSING}). Nothing was contacted or changed. Next: install the package, "
        "whose wheel also brings this collection, for that interpreter."
    )


def node_program() -> Program:
    """The node program; raises AnsibleActionFail when it cannot be built here."""
    try:
        return program()
    except RuntimeError as error:
        raise AnsibleActionFail(
            f"The node program cannot be built on the control node: {error} (for {sys.executable}). Nothing was "
            "contacted or changed."
        ) from None
