# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ..module_utils.arguments import MIG_VERIFY
from ..plugin_utils.options import LayoutAction
from ..plugin_utils.results import state_of


class ActionModule(LayoutAction):
    """migprov.gpu.mig_verify."""

    TASK = "verify"
    SPEC = MIG_VERIFY

    def params(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The layout, and whether CUDA is to be tried."""
        return super().params(options, task_vars) | ({"cuda": True} if options["cuda"] else {})

    def result(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The GPUs, and what is not as wanted."""
        error = reply["error"] or {}
        return {**state_of(reply), **reply["data"], "differences": error.get("differences") or []}
