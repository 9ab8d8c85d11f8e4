# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.arguments import K8S_NODE_INFO
from ..plugin_utils.kubernetes import ClusterAction, fact

if TYPE_CHECKING:
    from migprov.fleet.kubernetes import Api


class ActionModule(ClusterAction):
    """migprov.gpu.k8s_node_info."""

    SPEC = K8S_NODE_INFO

    def work(self, api: Api, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read the node and its pods."""
        from migprov.fleet.kubernetes import looks

        found = looks.look(api, options["node"], options["pods"], rights=options["rights"])
        return {"changed": False, "node": fact(found.node), **found.to_json()}
