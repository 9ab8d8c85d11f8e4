# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs run over Ansible's own connection, in the form that migprov.fleet takes (migprov.fleet.commands)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .node_action import NodeAction

if TYPE_CHECKING:
    from migprov.fleet.commands import Answer


class CommandsAction(NodeAction):
    """An action that runs programs of the host itself, on the task's host or the one that it is delegated to."""

    def run_words(self, words: Sequence[str], data: str | None) -> dict[str, Any]:
        """Run a program with data on its standard input; rc, stdout and stderr.

        Raises:
            SudoRefused: become did not work.
            AnsibleConnectionFailure: the host is unreachable.
        """
        command = shlex.join(words)
        if self._can_pipe():
            # Never without input: ssh would give the program a terminal.
            answer = self._execute(command, (data or "\n").encode())
        elif data is None:
            answer = self._execute(f"{command} </dev/null")
        else:
            answer = self._execute(f"{command} <{shlex.quote(self._stored(data))}")
        refusal = self._become_refusal(answer)
        if refusal:
            raise refusal
        return answer

    def _stored(self, data: str) -> str:
        """The path of a file with the data on the host, in the folder that Ansible removes."""
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        path = str(self._connection._shell.join_path(folder, "input"))
        self._transfer_data(path, data)
        self._fixup_perms2((folder, path))
        return path


class OverAnsible:
    """migprov.fleet.commands.Commands over the connection of an action."""

    def __init__(self, action: CommandsAction) -> None:
        self._action = action

    @property
    def where(self) -> str:
        """How messages name the host."""
        return self._action._host or "the node"

    def run(self, argv: Sequence[str], input: str | None = None, timeout_s: float | None = None) -> Answer:
        """Run argv. The connection has time limits of its own, so timeout_s is not used."""
        from migprov.fleet.commands import Answer

        answer = self._action.run_words(argv, input)
        return Answer(int(answer["rc"]), str(answer["stdout"]), str(answer["stderr"]))
