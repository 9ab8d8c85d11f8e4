"""Where NVIDIA's MIG manager runs on a node, it is given the layout; migprov does not touch the GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import companions, names
from .client import Api, Json
from .config_map import config, config_name, merged
from .errors import ClusterError, Conflict, ManagerFailed
from .outcome import Outcome
from .state import KubeNode, read
from .waiting import Deadline

NAMESPACE = "gpu-operator"
CONFIG_MAP = "default-mig-parted-config"
"""Where the GPU Operator keeps the configuration unless it is told otherwise."""
VOLUME = "mig-parted-config"
"""The volume of the manager's pod that it reads."""
KEY = "config.yaml"
BUSY = ("pending", "rebooting")
TRIES = 8


@dataclass(frozen=True)
class ManagerOptions:
    """`namespace` and `config_map`: None for those that the manager's pod on the node reads.

    `timeout_s` bounds all waiting, in seconds; a change with a reboot takes many minutes.
    """

    namespace: str | None = None
    config_map: str | None = None
    timeout_s: float = 1800.0
    poll_s: float = 5.0


def manage(
    api: Api,
    name: str,
    layout: str,
    entries: Sequence[Mapping[str, Any]],
    options: ManagerOptions | None = None,
    *,
    check: bool = False,
) -> Outcome:
    """Let the MIG manager of the node bring the layout `layout`, whose entries are those of the wire.

    Writes nothing of the manager's configuration but the layout `migprov-<layout>`. Returns when the manager says
    success. Raises ClusterError (ManagerFailed with its state), CannotSay.
    """
    return _Turn(api, name, config_name(layout), config(entries), options or ManagerOptions()).run(check=check)


@dataclass
class _Turn:
    api: Api
    name: str
    config: str
    entries: list[dict[str, Any]]
    options: ManagerOptions
    steps: list[Json] = field(default_factory=list)

    def run(self, *, check: bool) -> Outcome:
        """See `manage`."""
        before = read(self.api, self.name)
        if not before.manager:
            raise self._failed(
                "NVIDIA's MIG manager does not run on the node. Nothing was changed",
                next="let migprov bring the layout itself (the role mig_layout).",
            )
        where = self._config_map()
        written = self._is_written(where)
        done = written and before.labels.get(names.CONFIG) == self.config and _state(before) == "success"
        if done or check:
            return Outcome(self.name, check, not done, before, before, () if done else self._planned(where, written))
        deadline = Deadline(self.options.timeout_s, self.options.poll_s)
        self._wait_idle(deadline)
        self._write(where)
        after = self._start(before, deadline)
        return Outcome(self.name, False, True, before, after, tuple(self.steps))

    def _planned(self, where: tuple[str, str], written: bool) -> tuple[Json, ...]:
        first = [] if written else [_write_step(where, self.config)]
        return (*first, self._label_step())

    # --- the configuration ------------------------------------------------------------------------------------------

    def _config_map(self) -> tuple[str, str]:
        """Namespace and name of the config map that the manager reads on this node."""
        namespace, name = self.options.namespace, self.options.config_map
        if namespace and name:
            return namespace, name
        for pod in companions.placed_by(self.api.pods(self.name), [names.MANAGER]):
            for volume in pod["spec"].get("volumes") or []:
                if volume["name"] == VOLUME and "configMap" in volume:
                    return namespace or pod["metadata"]["namespace"], name or volume["configMap"]["name"]
        return namespace or NAMESPACE, name or CONFIG_MAP

    def _file(self, where: tuple[str, str]) -> tuple[Json, str]:
        """The config map and the key of the file in it."""
        found = self.api.config_map(*where)
        if found is None:
            raise self._failed(
                f"there is no config map {'/'.join(where)} for NVIDIA's MIG manager. Nothing was changed",
                next="name the one that it reads (gpu_drain_kubernetes_manager_config_map and _namespace).",
            )
        data = found.get("data") or {}
        if KEY not in data and len(data) != 1:
            raise self._failed(f"the config map {'/'.join(where)} has no {KEY}. Nothing was changed")
        return found, KEY if KEY in data else next(iter(data))

    def _is_written(self, where: tuple[str, str]) -> bool:
        found, key = self._file(where)
        text: str = found["data"][key]
        return merged(text, self.config, self.entries) == text

    def _write(self, where: tuple[str, str]) -> None:
        """Put the layout into the config map; the other nodes' turns may write it at the same time."""
        for attempt in range(TRIES):
            found, key = self._file(where)
            text = merged(found["data"][key], self.config, self.entries)
            if text == found["data"][key]:
                return
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            try:
                self.api.patch_config_map(*where, {"metadata": version, "data": {key: text}})
            except Conflict as error:
                if attempt == TRIES - 1:
                    error.tell(self.name)
                    raise
            else:
                self.steps.append(_write_step(where, self.config))
                return

    # --- the manager ------------------------------------------------------------------------------------------------

    def _wait_idle(self, deadline: Deadline) -> None:
        """Wait for the end of what the manager does for somebody else."""
        seen: list[KubeNode] = []

        def look() -> bool | None:
            seen[:] = [read(self.api, self.name)]
            return None if _state(seen[0]) in BUSY else True

        if deadline.until(look) is None:
            raise self._failed(
                f"NVIDIA's MIG manager has been at work for somebody else for {deadline.seconds:g} s: "
                f"{_told(seen[0])}. Nothing was changed"
            )

    def _start(self, before: KubeNode, deadline: Deadline) -> KubeNode:
        """Let the manager begin anew, with the configuration as it is now.

        A running one may have the configuration of a minute ago, and does not look at a label that stays the same. So
        it is paused by the label that places it, and comes back to its new task.
        """
        try:
            companions.pause(self.api, self.name, [names.MANAGER])
            companions.wait_gone(self.api, self.name, [names.MANAGER], deadline)
        except ClusterError as error:
            companions.unpause(self.api, self.name)
            error.tell(self.name, "NVIDIA's MIG manager was given back as it was. Nothing was changed")
            raise
        # Its state is taken away, so that a success is one of this task.
        companions.unpause(self.api, self.name, {names.CONFIG: self.config, names.CONFIG_STATE: None})
        self.steps.append(self._label_step())
        return self._wait_success(before, datetime.now(UTC), deadline)

    def _wait_success(self, before: KubeNode, begun: datetime, deadline: Deadline) -> KubeNode:
        last: list[KubeNode] = []

        def look() -> KubeNode | None:
            last[:] = [read(self.api, self.name)]
            return last[0] if _state(last[0]) in ("success", "failed") else None

        found = deadline.until(look)
        if found is not None and _state(found) == "success" and found.labels.get(names.CONFIG) == self.config:
            return found
        former = before.labels.get(names.CONFIG)
        back = f"the config was {former} before" if former else "there was no config before"
        told = _told(last[0])
        if found is None:
            told += f", for {deadline.seconds:g} s (since {begun:%H:%M:%S} UTC)"
        raise self._failed(
            f"NVIDIA's MIG manager did not bring the layout: {told}; {back}",
            next=f"look at its log (kubectl logs, {self._pod()}), then run the same again or set the label "
            f"{names.CONFIG} back.",
        )

    def _pod(self) -> str:
        pods = companions.placed_by(self.api.pods(self.name), [names.MANAGER])
        return f"pod {companions.path(pods[0])}" if pods else "it has no pod on the node"

    def _label_step(self) -> Json:
        return {"action": "label", "label": names.CONFIG, "value": self.config}

    def _failed(self, message: str, next: str | None = None) -> ManagerFailed:
        return ManagerFailed(message, host=self.name, next=next)


def _write_step(where: tuple[str, str], config: str) -> Json:
    return {"action": "write", "config_map": "/".join(where), "config": config}


def _state(node: KubeNode) -> str:
    return node.labels.get(names.CONFIG_STATE, "")


def _told(node: KubeNode) -> str:
    return f"{names.CONFIG}={node.labels.get(names.CONFIG, '')}, {names.CONFIG_STATE}={_state(node) or 'not there'}"
