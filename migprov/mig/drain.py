"""Work in the way of a change: whether to refuse, to wait for it, or to end it."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Sequence, Tuple

from . import steps
from .errors import BadRequest, GpuBusy
from .state import Gpu, Process
from .steps import Step

REFUSE, WAIT, TERMINATE = "refuse", "wait", "terminate"

AGENTS = (
    "nvidia-persistenced.service",
    "nvidia-dcgm.service",
    "dcgm.service",
    "dcgm-exporter.service",
    "nvidia-dcgm-exporter.service",
    "nvsm.service",
    "nvsm-core.service",
    "nvsm-mqtt.service",
    "nvsm-notifier.service",
    "nvsm-api-gateway.service",
    "nvidia-device-plugin.service",
)
"""Units that are known to keep GPUs open and that come back by themselves; users extend the list.

The fabric manager is not among them: GPUs on an NVSwitch can be reset only while it runs.
"""


class Drain(NamedTuple):
    """What to do with work in the way. ``timeout_s`` is for all of it together, in seconds.

    Services of ``agents`` are stopped and started again under every policy.
    """

    policy: str = REFUSE
    timeout_s: float = 300.0
    agents: Tuple[str, ...] = AGENTS

    @classmethod
    def from_json(cls, data: Any) -> Drain:
        """Read ``{"policy", "timeout_s", "agents"}``, each with its default; raises BadRequest."""
        if data is None:
            return cls()
        fields: Any = {"policy": data} if isinstance(data, str) else data
        if not isinstance(fields, dict) or set(fields) - {"policy", "timeout_s", "agents"}:
            raise BadRequest("drain must be a policy, or a mapping of policy, timeout_s and agents")
        policy = fields.get("policy", REFUSE)
        if policy not in (REFUSE, WAIT, TERMINATE):
            raise BadRequest("the drain policy %r is none of refuse, wait, terminate" % (policy,))
        timeout = fields.get("timeout_s", 300.0)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 <= timeout <= 7 * 86400:
            raise BadRequest("drain: timeout_s must be a number of seconds, at most a week")
        agents = fields.get("agents", list(AGENTS))
        if not isinstance(agents, list) or not all(isinstance(unit, str) and unit for unit in agents):
            raise BadRequest("drain: agents must be a list of systemd units")
        if any(unit.startswith("-") or "/" in unit or not unit.isprintable() for unit in agents):
            raise BadRequest("drain: agents must be names of systemd units such as nvidia-dcgm.service")
        return cls(policy, float(timeout), tuple(_unit(name) for name in agents))

    def is_agent(self, process: Process) -> bool:
        """Whether stopping the process's service is known to be harmless."""
        return process.unit is not None and process.unit in self.agents


def _unit(name: str) -> str:
    """The name in full, as systemctl understands it: ``nvidia-dcgm`` is a service."""
    return name if name.endswith((".service", ".scope", ".socket", ".mount")) else name + ".service"


def clear(gpu: Gpu, processes: Sequence[Process], why: str, drain: Drain) -> List[Step]:
    """The steps that get these processes out of the way of a change; raises GpuBusy where the policy forbids it."""
    units = dict.fromkeys(p.unit for p in processes if drain.is_agent(p))
    others = {p.pid: p for p in processes if not drain.is_agent(p)}
    unseen = [p for p in others.values() if p.start_ticks is None]
    if others and (drain.policy == REFUSE or (drain.policy == TERMINATE and unseen)):
        raise _busy(gpu, list(others.values()), why, bool(unseen) and drain.policy == TERMINATE)
    done = [Step(steps.STOP_SERVICE, gpu.index, gpu.uuid, unit=unit or "") for unit in units]
    action = steps.WAIT_FOR_PROCESS if drain.policy == WAIT else steps.END_PROCESS
    return done + [
        Step(action, gpu.index, gpu.uuid, pid=p.pid, start_ticks=p.start_ticks, command=p.command, user=p.user)
        for p in others.values()
    ]


def _busy(gpu: Gpu, processes: Sequence[Process], why: str, unseen: bool) -> GpuBusy:
    who = ", ".join(process.label for process in processes[:5])
    more = " and %d more" % (len(processes) - 5) if len(processes) > 5 else ""
    cannot = "; a process of a pid namespace that cannot be seen from here cannot be ended from here" if unseen else ""
    return GpuBusy(
        "%s is in use by %s%s, and %s%s" % (gpu.label, who, more, why, cannot),
        gpu=gpu.index,
        next="move or stop this work, or choose another drain policy (wait, terminate); this GPU was not changed",
        holders=[dict(process._asdict()) for process in processes],
    )
