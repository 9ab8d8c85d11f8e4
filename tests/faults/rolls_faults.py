"""What can go wrong with one node after the look at all nodes has found nothing, and how it is put right again."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from migprov.sim.nodes import FleetNode
from migprov.sim.nodes import processes as running

from .rolls_moments import Moment

CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. `when` tells the moment; None: before the roll begins, for only writes meet it.

    `unreachable`: the node cannot be reached, which is another exit status than a failure.
    """

    name: str
    put: Callable[[FleetNode], None]
    mend: Callable[[FleetNode], None]
    when: Callable[[Moment], bool] | None = None
    unreachable: bool = False
    variables: dict[str, Any] = field(default_factory=dict)


def _batch_begins(moment: Moment) -> bool:
    return moment["kind"] == "play" and bool(moment["rolls"])


def _change_begins(moment: Moment) -> bool:
    changes = moment["kind"] == "task" and moment["action"] == "migprov.gpu.mig_layout" and not moment["check"]
    return changes and bool(moment["rolls"])


def _stop(node: FleetNode) -> None:
    assert node.stop() == []


def _clear(node: FleetNode) -> None:
    node.sim.clear_faults()


def _hang(node: FleetNode) -> None:
    node.sim.fault(0, CREATE, hang_s=3600, skip=1)


def _end_hanging(node: FleetNode) -> None:
    """The driver works again: whoever waited for it has ended."""
    _clear(node)
    assert running.end(lambda: running.marked([f"MIGPROV_SIM_SESSION={node.mark}"])) == []


def _freeze(node: FleetNode) -> None:
    for process in node.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP)


def _thaw(node: FleetNode) -> None:
    for process in node.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)


def _hold(node: FleetNode) -> None:
    node.sim.hold(0, 9155, command="python3 serve.py")


def _release(node: FleetNode) -> None:
    for pid in node.sim.holders():
        node.sim.release(pid)


SHORT = {"mig_layout_node_timeout": 30, "mig_layout_look_timeout": 30}
"""Seconds for a node that answers no more. Long enough for one that does, also on a machine with much to do."""

UNREACHABLE = Fault("unreachable", _stop, lambda node: node.start(), _batch_begins, unreachable=True)
FAILING = Fault("failing", lambda node: node.sim.fault(0, CREATE, error="UNKNOWN", skip=1), _clear)
HANGING = Fault("hanging in the driver", _hang, _end_hanging, variables=SHORT)
FROZEN = Fault("frozen", _freeze, _thaw, _batch_begins, variables=SHORT)
REFUSING = Fault("refusing", _hold, _release, _batch_begins)
LOST = Fault("lost at the change", _stop, lambda node: node.start(), _change_begins, unreachable=True)
TAKEN = Fault("refusing at the change", _hold, _release, _change_begins)
FAULTS = (UNREACHABLE, FAILING, HANGING, FROZEN, REFUSING)
"""At every position."""
LATE_FAULTS = (LOST, TAKEN)
"""After the node's own look too, between it and the change."""
