# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.arguments import SLURM_NODE
from ..plugin_utils.slurm import SlurmAction, told

if TYPE_CHECKING:
    from migprov.fleet.commands import Commands


class ActionModule(SlurmAction):
    """migprov.gpu.slurm_node."""

    SPEC = SLURM_NODE

    def work(self, commands: Commands, options: dict[str, Any]) -> dict[str, Any]:
        """Drain or resume."""
        from migprov.fleet import slurm

        node, check = options["node"], bool(self._task.check_mode)
        if options["state"] == "drained":
            outcome = slurm.drain(commands, node, options["change"], options["jobs"], options["timeout"], check=check)
        else:
            outcome = slurm.resume(commands, node, settle_s=options["settle"], check=check)
        result = {**outcome.to_json(), "node": outcome.fact}
        if self._task.diff:
            result["diff"] = {
                "before": told(result["before"]),
                "after": told(result["after"]),
                "before_header": "node in Slurm before",
                "after_header": "node in Slurm as it would be" if check else "node in Slurm after",
            }
        return result
