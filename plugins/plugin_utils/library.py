# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The migprov package on the control node, or what to do when it is not there.

Everything of the collection that needs the package imports it from here, so that its absence is one clear message
instead of a plugin that cannot be loaded.
"""

from __future__ import annotations

import sys

from ansible.errors import AnsibleActionFail

try:
    from migprov import layouts
    from migprov.connect import command
    from migprov.connect.program import program
    from migprov.errors import BadReply, NodeError, ProgramMissing, SudoRefused
    from migprov.mig.text import describe, describe_step
except ImportError as error:
    MISSING: ImportError | None = error
else:
    MISSING = None

__all__ = [
    "BadReply",
    "NodeError",
    "ProgramMissing",
    "SudoRefused",
    "command",
    "describe",
    "describe_step",
    "layouts",
    "program",
    "require",
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
