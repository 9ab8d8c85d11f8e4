# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ..module_utils.arguments import GPU_DRAIN
from ..plugin_utils.node_action import NodeAction
from ..plugin_utils.options import selectors


class ActionModule(NodeAction):
    """migprov.gpu.gpu_drain."""

    TASK = "drain"
    SPEC = GPU_DRAIN
    DRAIN = ("policy", "timeout")

    def params(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """GPUs."""
        return {"gpus": selectors(options["gpus"])}
