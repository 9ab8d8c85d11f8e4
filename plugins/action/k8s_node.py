# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.arguments import K8S_NODE
from ..plugin_utils.kubernetes import ClusterAction
from ..plugin_utils.refusal import Refusal

if TYPE_CHECKING:
    from migprov.fleet.kubernetes import Api, DrainOptions, ResumeOptions


class ActionModule(ClusterAction):
    """migprov.gpu.k8s_node."""

    SPEC = K8S_NODE

    def work(self, api: Api, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Drain or uncordon."""
        from migprov.fleet import kubernetes

        node, check = options["node"], bool(self._task.check_mode)
        if options["state"] == "drained":
            return self.outcome(kubernetes.drain(api, node, options["change"], _drain(options), check=check))
        return self.outcome(kubernetes.resume(api, node, _resume(options), check=check))


def _drain(options: dict[str, Any]) -> DrainOptions:
    from migprov.fleet.kubernetes import DrainOptions
    from migprov.fleet.kubernetes.companions import LABELS

    return DrainOptions(
        which=options["pods"],
        timeout_s=options["timeout"],
        delete_emptydir_data=options["delete_emptydir_data"],
        force=options["force"],
        labels=LABELS if options["companions"] is None else options["companions"],
        poll_s=options["poll"],
    )


def _resume(options: dict[str, Any]) -> ResumeOptions:
    from migprov.fleet.kubernetes import ResumeOptions
    from migprov.fleet.kubernetes.names import PLUGIN_PODS

    if not all(_is_gpu(gpu) for gpu in options["gpus"] or []):
        raise Refusal("gpus: must be the gpus that migprov.gpu.mig_info returns. Nothing was changed.")
    return ResumeOptions(
        gpus=options["gpus"],
        strategy=options["mig_strategy"],
        plugin=PLUGIN_PODS if options["device_plugin"] is None else options["device_plugin"],
        timeout_s=options["timeout"],
        poll_s=options["poll"],
    )


def _is_gpu(gpu: dict[str, Any]) -> bool:
    from migprov.fleet.kubernetes.resources import devices

    try:
        devices(gpu)
    except (KeyError, TypeError):
        return False
    return {"index", "mig_current"} <= set(gpu)
