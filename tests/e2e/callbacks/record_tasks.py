"""Writes what each Ansible task returned to the file RECORD_TASKS, one JSON object a line."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record_tasks
type: notification
short_description: Record the results of tasks
description: For tests.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record_tasks"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play_name = play.get_name()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._record(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._record(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._record(result, "unreachable")

    def _record(self, result: Any, status: str) -> None:
        line = {
            "play": self._play_name,
            "host": result.host.get_name(),
            "action": result.task.action,
            "name": result.task.get_name(),
            "status": status,
            "result": json.loads(json.dumps(result.result, default=str)),
        }
        with open(os.environ["RECORD_TASKS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
