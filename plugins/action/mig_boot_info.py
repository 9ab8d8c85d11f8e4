# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.arguments import MIG_BOOT_INFO
from ..plugin_utils import boot, library
from ..plugin_utils.options import LayoutAction
from ..plugin_utils.refusal import Refusal
from ..plugin_utils.results import ABOUT_NO_GPU, explained, failure


class ActionModule(LayoutAction):
    """migprov.gpu.mig_boot_info. Asks the node with check mode on, whatever the play's is."""

    TASK = "layout"
    SPEC = MIG_BOOT_INFO

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        self._refuse_async()
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        library.require()
        options, known = self._options(), task_vars or {}
        task: str = "info"
        params: dict[str, Any] = {"processes": False}
        if options["current"] and (options["file"] or options["config"]):
            raise Refusal("current: give either the present layout or another one, not both.")
        if not options["current"]:
            # Work in the way today is none at boot: whom it would end does not matter, as nothing is done.
            task, params = self.TASK, {**self.params(options, known), "drain": "terminate"}
        try:
            reply = self.call_program(
                json.dumps({"protocol": library.PROTOCOL, "task": task, "params": params, "check": True}), known
            )
        except library.NodeError as error:
            return {**result, **failure({**ABOUT_NO_GPU, **error.to_json()})}
        if reply["error"]:
            return {**result, **failure(explained(reply["error"], become=bool(self._connection.become)))}
        return {**result, "changed": False, **self._saved(reply["after"]["gpus"], params.get("entries"), options)}

    def _saved(self, gpus: list[dict[str, Any]], entries: Any, options: dict[str, Any]) -> dict[str, Any]:
        indices = [gpu["index"] for gpu in gpus] if entries is None else boot.selected(gpus, entries)
        found = boot.exact([gpu for gpu in gpus if gpu["index"] in indices])
        return {
            "saved": boot.saved(found, options),
            "uuids": [entry["devices"][0] for entry in found],
            "program": boot.program_file(),
        }
