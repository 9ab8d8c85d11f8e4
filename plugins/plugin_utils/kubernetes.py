# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Kubernetes modules share: the migprov package's own logic, on the control node, without any connection."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from ansible import constants
from ansible.plugins.action import ActionBase

from . import library
from .options import LayoutAction
from .results import failure

if TYPE_CHECKING:
    from migprov.fleet.kubernetes import Api, KubeNode, Outcome


class ClusterAction(LayoutAction):
    """Subclasses say what they do with the cluster."""

    _requires_connection = False

    @abstractmethod
    def work(self, api: Api, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the task returns. Raises MigprovError."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        self._refuse_async()
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        library.require()
        from migprov.errors import MigprovError
        from migprov.fleet import kubernetes

        options = self._options()
        try:
            # Keys of the kubeconfig become files in Ansible's own folder, which it removes.
            with kubernetes.connect(
                options["kubeconfig"], options["context"], folder=constants.DEFAULT_LOCAL_TMP
            ) as api:
                return {**result, **self.work(api, options, task_vars or {})}
        except MigprovError as error:
            return {**result, "changed": False, **failure(error.to_json())}

    def outcome(self, outcome: Outcome) -> dict[str, Any]:
        """A change of a node as the result of a task."""
        result = {**outcome.to_json(), "node": fact(outcome.after)}
        if self._task.diff:
            result["diff"] = {
                "before": _told(outcome.before),
                "after": _told(outcome.after),
                "before_header": "node in Kubernetes before",
                "after_header": "node in Kubernetes as it would be" if outcome.check else "node in Kubernetes after",
            }
        return result


def fact(node: KubeNode) -> dict[str, Any]:
    """What every scheduler's role leaves as `gpu_drain_node`."""
    return {
        "scheduler": "kubernetes",
        "node": node.name,
        "drained": node.unschedulable,
        "by_migprov": node.by_migprov,
        "reason": node.reason,
        "manager": node.manager,
    }


def _told(node: KubeNode) -> str:
    known = node.to_json()
    lines = [f"{node.name}: {node.reason or 'schedulable'}"]
    lines += [f"  {label} paused" for label in known["paused"]]
    lines += [f"  {key}: {known[key]}" for key in ("mig_config", "mig_config_state") if known[key]]
    lines += [f"  {name}: {count}" for name, count in sorted(known["resources"].items())]
    return "".join(f"{line}\n" for line in lines)
