# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.arguments import SLURM_GRES
from ..plugin_utils.refusal import Refusal
from ..plugin_utils.slurm import SlurmAction

if TYPE_CHECKING:
    from migprov.fleet.commands import Commands
    from migprov.fleet.slurm.gres import Edit


class ActionModule(SlurmAction):
    """migprov.gpu.slurm_gres."""

    SPEC = SLURM_GRES

    def work(self, commands: Commands, options: dict[str, Any]) -> dict[str, Any]:
        """Edit the files, and make slurmctld take them where that is asked for."""
        from migprov.fleet.slurm import gres as files
        from migprov.render import gres as render

        node, check = options["node"], bool(self._task.check_mode)
        try:
            if options["mode"] == "explicit":
                wanted = render.explicit(options["gpus"], type=options["type"], dev=options["dev"])
            else:
                wanted = render.autodetect(options["gpus"], type=options["type"], profiles=options["profiles"])
        except (KeyError, TypeError, AttributeError) as error:
            raise Refusal(
                f"gpus and profiles must be those that migprov.gpu.mig_info returns ({error!r}). Nothing was changed."
            ) from None
        where = files.Files(options["conf"], options["gres_conf"] or "")
        edits = files.edit(commands, node, where, wanted, check=check)
        known = files.known(commands, node, wanted)
        taken = False
        if options["take"] and not check:
            taken = files.take(commands, node, wanted, options["restart"], force=options["force"])
        result = {
            "changed": taken or any(one.changed for one in edits),
            "gres": ",".join(wanted.items),
            "files": [one.path for one in edits if one.changed],
            "known": known or taken,
            "taken": taken,
        }
        if self._task.diff:
            result["diff"] = [_diff(one) for one in edits if one.changed]
        return result


def _diff(one: Edit) -> dict[str, str]:
    return {
        "before": one.before or "",
        "after": one.after,
        "before_header": one.path,
        "after_header": one.path,
    }
