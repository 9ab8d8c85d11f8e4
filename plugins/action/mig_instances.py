# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ..module_utils.arguments import MIG_INSTANCES
from ..plugin_utils.node_action import NodeAction
from ..plugin_utils.options import instances, selectors


class ActionModule(NodeAction):
    """migprov.gpu.mig_instances."""

    TASK = "instances"
    SPEC = MIG_INSTANCES

    def params(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """GPUs and the wanted instances."""
        return {"gpus": selectors(options["gpus"]), "instances": instances(options["instances"])}
