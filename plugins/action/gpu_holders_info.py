# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ..module_utils.arguments import GPU_HOLDERS_INFO
from ..plugin_utils import library
from ..plugin_utils.node_action import NodeAction
from ..plugin_utils.options import selectors
from ..plugin_utils.results import ABOUT_NO_GPU


class ActionModule(NodeAction):
    """migprov.gpu.gpu_holders_info."""

    TASK = "info"
    SPEC = GPU_HOLDERS_INFO

    def params(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The GPUs are chosen here, out of all that the node tells."""
        chosen = selectors(options["gpus"])
        self._chosen = chosen if isinstance(chosen, str) else tuple(chosen)
        return {"processes": True}

    def result(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The holders of the chosen GPUs, and the GPUs that do not answer."""
        if reply["after"] is None:
            return {}
        try:
            return library.holders(reply["after"], self._chosen)
        except library.MigError as error:
            reply["error"] = {**ABOUT_NO_GPU, "code": error.code, "message": error.message, "next": error.next}
            return {}
