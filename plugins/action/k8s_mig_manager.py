# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.arguments import K8S_MIG_MANAGER
from ..plugin_utils.kubernetes import ClusterAction

if TYPE_CHECKING:
    from migprov.fleet.kubernetes import Api


class ActionModule(ClusterAction):
    """migprov.gpu.k8s_mig_manager."""

    SPEC = K8S_MIG_MANAGER

    def work(self, api: Api, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Hand the layout to NVIDIA's MIG manager and wait for it."""
        from migprov.fleet.kubernetes.manager import ManagerOptions, manage

        entries = self.params(options, task_vars)["entries"]
        given = ManagerOptions(options["namespace"], options["config_map"], options["timeout"], options["poll"])
        layout = options["name"] or options["layout"] or options["node"]
        check = bool(self._task.check_mode)
        return self.outcome(manage(api, options["node"], layout, entries, given, check=check))
