# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible waits at the start of each batch and each task until the test lets it go on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: moments
type: notification
short_description: Waits for a test at the start of each batch and task
description:
  - Tells the Unix socket that MIGPROV_TEST_MOMENTS names what is about to begin, and waits for one line.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Tells and waits."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "moments"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._play: dict[str, Any] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        # The playbook itself can be limited to the look at all nodes; its other plays begin all the same.
        looks = list(context.CLIARGS.get("tags") or ()) == ["preflight"]
        known = play.get_variable_manager().get_vars(play=play)
        self._play = {
            "play": play.get_name(),
            "rolls": bool(play.serial) and not looks,
            "hosts": [str(name) for name in known["ansible_play_batch"]],
        }
        _tell({"kind": "play", **self._play})

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        _tell(
            {
                "kind": "task",
                **self._play,
                "task": str(task.get_name()),
                "action": str(task.resolved_action or task.action),
                "check": bool(task.check_mode),
            }
        )

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)


def _tell(moment: dict[str, Any]) -> None:
    path = os.environ.get("MIGPROV_TEST_MOMENTS")
    if not path:
        return
    # A test that has ended listens no more, and nobody is held up by it.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        line.sendall((json.dumps({**moment, "pid": os.getpid()}) + "\n").encode())
        line.recv(1)
