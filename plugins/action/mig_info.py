# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ..module_utils.arguments import MIG_INFO
from ..plugin_utils.node_action import NodeAction
from ..plugin_utils.results import state_of, summary


class ActionModule(NodeAction):
    """migprov.gpu.mig_info."""

    TASK = "info"
    SPEC = MIG_INFO

    def result(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The GPUs, as data and as text."""
        state = state_of(reply)
        return {**state, "summary": summary(state), **reply["data"]} if state else {}
