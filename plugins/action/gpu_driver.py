# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ..module_utils.arguments import GPU_DRIVER
from ..plugin_utils.node_action import NodeAction
from ..plugin_utils.refusal import Refusal


class ActionModule(NodeAction):
    """migprov.gpu.gpu_driver."""

    TASK = "driver"
    SPEC = GPU_DRIVER

    def params(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """A version that YAML has read as a number has lost its zeros: 570.10 is 570.1 by then."""
        if isinstance(self._task.args.get("minimum"), float):
            raise Refusal(f"minimum: {options['minimum']} was read as a number; put the version in quotes")
        return options

    def result(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The versions found, and what each GPU needs."""
        return dict(reply["data"])
