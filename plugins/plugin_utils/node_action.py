# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every action plugin of the collection is: module arguments -> request -> reply -> result."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any, ClassVar

from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from . import library
from .program_action import ProgramAction
from .refusal import Refusal
from .results import ABOUT_NO_GPU, explained, failure, fared, interrupted, with_diff

# Words of ssh for a connection that there never was.
_NEVER_THERE = (
    "connect to host",
    "Could not resolve",
    "Permission denied",
    "Host key verification failed",
    "kex_exchange",
)


class NodeAction(ProgramAction):
    """Subclasses name the task and their options, and say how options become params and a reply a result."""

    TASK: ClassVar[str]
    """The task of docs/architecture.md."""
    SPEC: ClassVar[dict[str, Any]]
    """The module's entry in module_utils/arguments.py."""
    DRAIN: ClassVar[tuple[str, str]] = ("drain", "drain_timeout")
    """What its options for the policy and the time of draining are called, if it has any."""

    def params(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The task's params. Raises Refusal where the options make no sense."""
        return options

    def result(self, reply: dict[str, Any]) -> dict[str, Any]:
        """What the task returns on top of `changed` and `error`: for tasks that change, all of the reply."""
        return {**{key: reply[key] for key in ("before", "after", "steps", "planned")}, **reply["data"]}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        self._refuse_async()
        result = super().run(tmp, task_vars)
        library.require()
        known = task_vars or {}
        options = self._options()
        draining = self._draining(options)
        request = {
            "protocol": library.PROTOCOL,
            "task": self.TASK,
            "params": {**self.params(options, known), **draining},
            "check": bool(self._task.check_mode),
        }
        writes = bool(draining and not self._task.check_mode)
        if draining:
            request["who"] = library.who(self._way(known))
        try:
            reply = self.call_program(json.dumps(request), known)
        except library.NodeError as error:
            if isinstance(error, library.BadReply) and not writes:
                error.next = "nothing was changed: see what the connection runs there instead of the program."
            return {**result, **failure({**ABOUT_NO_GPU, **error.to_json()})}
        except AnsibleConnectionFailure as error:
            raise _lost(error) if writes else error from None
        return {**result, **self._finished(reply)}

    def _finished(self, reply: dict[str, Any]) -> dict[str, Any]:
        result = {"changed": reply["changed"], **self.result(reply)}
        if self._task.diff:
            result |= with_diff(reply)
        if reply["data"].get("interrupted"):
            result["warnings"] = [interrupted(reply)]
        if reply["error"]:
            error = explained(reply["error"], become=bool(self._connection.become))
            result |= failure(error, fared(reply))
        return result

    def _draining(self, options: dict[str, Any]) -> dict[str, Any]:
        """The params `drain` and `stop_on_error` of a task that changes, taken out of the options."""
        policy, timeout = self.DRAIN
        if policy not in options:
            return {}
        drain = {"policy": options.pop(policy), "timeout_s": options.pop(timeout), "agents": options.pop("agents")}
        given = {key: value for key, value in drain.items() if value is not None}
        return {"drain": given, "stop_on_error": options.pop("stop_on_error")}

    def _way(self, task_vars: dict[str, Any]) -> str:
        """The way in, for the node's journal: the playbook, and the task unless it is one that is kept out of logs.

        In AWX everybody is the user of the container, so the job and who launched it are added: AWX gives every job
        these two extra variables.
        """
        arguments = context.CLIARGS
        books = () if "module_name" in arguments else arguments.get("args") or ()
        parts = ["ansible", *(PurePath(book).name for book in books)]
        if self._task.name and not self._task.no_log:
            parts.append(f"task {self._task.get_name()}")
        if task_vars.get("awx_job_id"):
            user = task_vars.get("awx_user_name")  # a scheduled job may have none
            parts.append(f"AWX job {task_vars['awx_job_id']}{f' of {user}' if user else ''}")
        return ", ".join(parts)

    def _refuse_async(self) -> None:
        if self._task.async_val:
            raise Refusal(
                f"{self._task.action} does not run with async: a change of GPUs is seen through to its end by the task "
                "that began it. Nothing was contacted or changed. Next: take async and poll from the task; --forks "
                "says how many nodes are worked on at once."
            )

    def _options(self) -> dict[str, Any]:
        """The validated options as plain data: without Ansible's tags, which not every library takes."""
        spec = self.SPEC["argument_spec"]
        try:
            _validation, options = self.validate_argument_spec(**self.SPEC)
            plain: dict[str, Any] = json.loads(json.dumps(options))
        except AnsibleActionFail as error:
            raise Refusal(error.message) from None
        except TypeError as error:
            raise Refusal(f"{self._task.action}: an option is not plain data: {error}") from None
        needed = [name for name, one in spec.items() if one.get("required")]
        for key, value, names, *any_one in self.SPEC.get("required_if", ()):
            needed += names if plain[key] == value and not any_one else ()
        empty = [name for name in needed if plain.get(name) in (None, "")]
        if empty:
            raise Refusal(f"{self._task.action}: {' and '.join(empty)} must not be empty. Nothing was changed.")
        return {name: plain.get(name) for name in spec}


def _lost(error: AnsibleConnectionFailure) -> AnsibleConnectionFailure:
    """What to say of a change whose connection failed: the program on the node sees it through all the same."""
    if any(words in error.message for words in _NEVER_THERE):
        return error
    return AnsibleConnectionFailure(
        f"{error.message.strip()} The connection may have broken while the change was made. What was begun on the node "
        "goes on there, so the outcome is not known. Next: look with migprov.gpu.mig_info and "
        "migprov.gpu.mig_history_info, or run the same again."
    )
