# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.arguments import SLURM_NODE_INFO
from ..plugin_utils.slurm import SlurmAction

if TYPE_CHECKING:
    from migprov.fleet.commands import Commands


class ActionModule(SlurmAction):
    """migprov.gpu.slurm_node_info."""

    SPEC = SLURM_NODE_INFO

    def work(self, commands: Commands, options: dict[str, Any]) -> dict[str, Any]:
        """The node, its jobs, and whether it is out of service."""
        from migprov.fleet.slurm.client import Client
        from migprov.fleet.slurm.outcome import fact

        client = Client(commands, options["node"])
        found = client.read()
        return {
            "changed": False,
            "node": fact(found.node),
            "slurm": found.node.to_json(),
            "jobs": [job.to_json() for job in found.jobs],
            "version": ".".join(f"{part:02d}" for part in client.version()),
        }
