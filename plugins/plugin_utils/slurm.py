# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Slurm modules share: the migprov package's own logic, over Ansible's connection."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from ansible.plugins.action import ActionBase

from . import library
from .commands import CommandsAction, OverAnsible
from .results import failure

if TYPE_CHECKING:
    from migprov.fleet.commands import Commands


class SlurmAction(CommandsAction):
    """Subclasses say what they do with Slurm's commands."""

    @abstractmethod
    def work(self, commands: Commands, options: dict[str, Any]) -> dict[str, Any]:
        """What the task returns. Raises NodeError."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        self._refuse_async()
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        library.require()
        from migprov.errors import MigprovError
        from migprov.fleet import slurm

        options = self._options()
        commands = slurm.with_conf(OverAnsible(self), options.get("conf"))
        try:
            return {**result, **self.work(commands, options)}
        except MigprovError as error:
            return {**result, "changed": False, **failure(error.to_json())}


def told(node: dict[str, Any]) -> str:
    """A node of Slurm for --diff."""
    state = "+".join([node["state"], *node["flags"]])
    lines = [f"{node['name']}: {state}", f"  reason: {node['reason'] or 'none'}", f"  gres: {node['gres'] or 'none'}"]
    return "".join(f"{line}\n" for line in lines)
