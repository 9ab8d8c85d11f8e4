# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sending the node program through Ansible's own connection."""

from __future__ import annotations

import shlex
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from . import library

display = Display()

# Words of sudo (requiretty) and doas for "not without a terminal": nothing was run then.
_NEEDS_TERMINAL = ("must have a tty to run", "a tty is required")


class ProgramAction(ActionBase):  # type: ignore[misc]
    """An action that calls the node program: one round trip when the program is there, one more when it is not."""

    def call_program(self, request: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request, both as in docs/architecture.md.

        Raises:
            NodeError: the program cannot be run on the node, or what came back is no reply.
            AnsibleConnectionFailure: the node is unreachable.
        """
        python = self._python(task_vars)
        if self._can_pipe():
            answer = self._pipe(request, python)
            if not _needs_terminal(answer):
                return self._understood(answer)
            display.vvv("become wants a terminal, so the request goes as a file", host=self._host)
        return self._through_files(request, python)

    @property
    def _host(self) -> str:
        return str(self._task.delegate_to or self._play_context.remote_addr or "")

    def _python(self, task_vars: dict[str, Any]) -> str | None:
        """The interpreter that was configured for the node; None when it is to be searched for."""
        of_node = task_vars
        if self._task.delegate_to:
            of_node = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, task_vars)
        configured = constants.config.get_config_value("INTERPRETER_PYTHON", variables=of_node)
        python = str(self._templar.template(configured) or "").strip()
        python = python.removeprefix("/usr/bin/env ").strip()
        # "auto" and its kin ask for a search, which the command line does itself without a round trip.
        return None if not python or python.startswith("auto") else python

    # --- standard input -------------------------------------------------------------------------------------

    def _can_pipe(self) -> bool:
        connection = self._connection
        become = connection.become
        if not connection.has_pipelining or (become and not become.pipelining):
            return False
        # The local connection answers a password prompt through a terminal of its own, which then is standard input.
        prompted = connection.transport == "local" and become and become.expect_prompt()
        return not prompted or connection.is_pipelining_enabled()

    def _pipe(self, request: str, python: str | None) -> dict[str, Any]:
        program = library.node_program()
        answer = self._execute(library.command.run_command(program.digest, python=python), request.encode())
        if not self._is_missing(answer):
            return answer
        install = library.command.install_command(program.digest, len(program.data), python=python)
        return self._execute(install, program.data + request.encode())

    # --- files ----------------------------------------------------------------------------------------------

    def _through_files(self, request: str, python: str | None) -> dict[str, Any]:
        """For connections that cannot pipe. The folder is Ansible's own, removed by ActionBase.cleanup."""
        program = library.node_program()
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        request_file = self._connection._shell.join_path(folder, "request.json")
        program_file = self._connection._shell.join_path(folder, "program.pyz")
        self._transfer_data(request_file, request)
        self._fixup_perms2((folder, request_file))
        run = library.command.run_command(program.digest, python=python, request_file=request_file)
        answer = self._execute(run)
        if self._is_missing(answer):
            self._transfer_data(program_file, program.data)
            self._fixup_perms2((folder, program_file))
            install = library.command.install_command(
                program.digest,
                len(program.data),
                python=python,
                request_file=request_file,
                program_file=program_file,
            )
            answer = self._execute(install)
        return self._understood(answer)

    # --- both -----------------------------------------------------------------------------------------------

    def _execute(self, command: str, data: bytes | None = None) -> dict[str, Any]:
        environment = self._compute_environment_string()
        if environment:
            command = f"{environment} /bin/sh -c {shlex.quote(command)}"
        try:
            answer: dict[str, Any] = self._low_level_execute_command(command, sudoable=True, in_data=data)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            # The connection saw the become method ask for a password, or refuse the one it was given.
            raise self._become_refused(str(error)) if "password" in str(error) else error from None
        if data is None:
            # Without piping, ssh may give the command a terminal, which merges the two streams.
            answer["stderr"] = f"{answer['stderr']}\n{answer['stdout']}"
        return answer

    def _is_missing(self, answer: dict[str, Any]) -> bool:
        try:
            self._understood(answer)
        except library.ProgramMissing:
            return True
        except library.NodeError:
            pass
        return False

    def _understood(self, answer: dict[str, Any]) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = library.command.understand(
                answer["rc"], answer["stdout"], answer["stderr"], host=""
            )
        except library.BadReply as error:
            raise self._become_refusal(answer) or error from None
        return reply

    def _become_refusal(self, answer: dict[str, Any]) -> Exception | None:
        """The become method's own words, when it is what failed."""
        become = self._connection.become
        words = str(answer["stderr"]).strip()
        if not become or answer["rc"] != 1 or not words.startswith(f"{become.name.rpartition('.')[2]}: "):
            return None
        return self._become_refused(words)

    def _become_refused(self, words: str) -> Exception:
        user = self.get_become_option("become_user") or "root"
        return library.SudoRefused(
            f"{self._connection.become.name} did not let the user become {user}: {library.command.excerpt(words)}; "
            "nothing was changed.",
            next="allow it on the node, give a password (--ask-become-pass), or connect as another user.",
        )


def _needs_terminal(answer: dict[str, Any]) -> bool:
    return bool(answer["rc"] != 0 and any(words in str(answer["stderr"]) for words in _NEEDS_TERMINAL))
