# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ..module_utils.arguments import MIG_HISTORY_INFO
from ..plugin_utils.node_action import NodeAction


class ActionModule(NodeAction):
    """migprov.gpu.mig_history_info."""

    TASK = "history"
    SPEC = MIG_HISTORY_INFO

    def result(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The changes, oldest first."""
        return dict(reply["data"])
