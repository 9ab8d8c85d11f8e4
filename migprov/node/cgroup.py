"""Which systemd unit or container a process belongs to, from the text of ``/proc/PID/cgroup``. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

# docker-<id>.scope, cri-containerd-<id>.scope, crio-<id>.scope, libpod-<id>.scope; with cgroupfs a plain <id>
_CONTAINER = r"(?:^|[-:])([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{10})(?:\.scope)?$"
_UNIT = r"\.(?:service|scope|socket|mount)$"


class Place(NamedTuple):
    """The innermost systemd unit and the container id of a process; None where there is none."""

    unit: Optional[str]
    container: Optional[str]


def place(text: str) -> Place:
    """Read cgroup v1 or v2 membership: lines ``ID:CONTROLLERS:PATH``.

    A container's own scope counts as its container, not as a unit.
    """
    unit: Optional[str] = None
    container: Optional[str] = None
    for line in text.splitlines():
        path = line.split(":", 2)[-1]
        for part in path.split("/"):
            match = re.search(_CONTAINER, part)
            if match:
                container = match.group(1)
            elif re.search(_UNIT, part) and container is None:
                unit = part
    return Place(unit, container)
