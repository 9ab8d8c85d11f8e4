"""Who holds a GPU or an instance: NVML's lists and the open device files, merged.

NVML lists only processes with a context; monitoring agents and others that merely have the device open, and so
keep it from being reset, show in ``/proc/PID/fd`` alone.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..mig.state import Process
from . import processes
from .nvml_data import Client

_DEVICE = r"nvidia([0-9]+)$"
_CAP = r"nvidia-caps/nvidia-cap([0-9]+)$"
# Minors of the capability files (nv-caps.c of the open kernel modules): 3 + 135 N + 9 I for the GPU instance I of the
# GPU with minor N, and C + 1 more for its compute instance C.
_CAP_BASE, _CAP_GPU, _CAP_GI = 3, 135, 9


class Opened(NamedTuple):
    """What one process has open: minors of GPUs, and (minor, GPU instance, compute instance or None)."""

    gpus: Set[int]
    instances: Set[Tuple[int, int, Optional[int]]]


def device_folder() -> str:
    """The folder of the device files, ``/dev/``; simulated nodes have their own, named by ``MIGPROV_DEV``."""
    return os.path.join(os.environ.get("MIGPROV_DEV", "/dev"), "")


def opened(files: Sequence[str]) -> Opened:
    """What the names of open device files (below the device folder) mean. Pure."""
    found = Opened(set(), set())
    for name in files:
        device = re.match(_DEVICE, name)
        cap = re.match(_CAP, name)
        if device:
            found.gpus.add(int(device.group(1)))
        elif cap and int(cap.group(1)) >= _CAP_BASE:
            gpu, rest = divmod(int(cap.group(1)) - _CAP_BASE, _CAP_GPU)
            gi, ci = divmod(rest, _CAP_GI)
            found.instances.add((gpu, gi, ci - 1 if ci else None))
    return found


class Holders:
    """The open device files of all processes, looked up once, and NVML's lists merged into them."""

    def __init__(self) -> None:
        files = processes.open_files(device_folder())
        self._opened = {pid: opened(names) for pid, names in files.items() if pid != os.getpid()}

    def of_gpu(self, minor: Optional[int], clients: Sequence[Client]) -> Tuple[Process, ...]:
        """Everybody on a GPU: those that NVML lists, then those that merely have it (kind ``open``)."""
        found: Dict[Tuple[int, Optional[int], Optional[int]], Process] = {}
        for client in clients:
            found.setdefault((client.pid, client.gi_id, client.ci_id), self._listed(client))
        listed = {client.pid for client in clients}
        for pid, files in sorted(self._opened.items()):
            if pid in listed:
                continue
            for gi_id, ci_id in _places(files, minor):
                process = _opener(pid, gi_id, ci_id)
                if process is not None:
                    found[(pid, gi_id, ci_id)] = process
        return tuple(found.values())

    def _listed(self, client: Client) -> Process:
        who = processes.identity(client.pid)
        if who is None or (client.pid not in self._opened and processes.has_no_file_of(client.pid, device_folder())):
            # A process of a pid namespace that cannot be seen from here: the driver still tells its memory. One that
            # has this number here, and no device file open, is another: it must never be taken for the holder.
            return Process(client.pid, "?", "?", client.memory_mib, client.gi_id, client.ci_id, client.kind)
        return _process(who, client.memory_mib, client.gi_id, client.ci_id, client.kind)


def _places(files: Opened, minor: Optional[int]) -> List[Tuple[Optional[int], Optional[int]]]:
    """Where on a GPU a process is: in each instance that it has open, else on the GPU as such, else nowhere."""
    inside = {(gi, ci) for gpu, gi, ci in files.instances if gpu == minor}
    computes = sorted((gi, ci) for gi, ci in inside if ci is not None)
    whole = sorted(gi for gi, ci in inside if ci is None)
    known = [gi for gi, _ in computes]
    places: List[Tuple[Optional[int], Optional[int]]] = [*computes, *((gi, None) for gi in whole if gi not in known)]
    return places or ([(None, None)] if minor in files.gpus else [])


def _opener(pid: int, gi_id: Optional[int], ci_id: Optional[int]) -> Optional[Process]:
    who = processes.identity(pid)
    if who is None or not processes.is_running(pid, who.start_ticks):
        return None
    return _process(who, None, gi_id, ci_id, "open")


def _process(
    who: processes.Identity, memory_mib: Optional[int], gi_id: Optional[int], ci_id: Optional[int], kind: str
) -> Process:
    return Process(
        pid=who.pid,
        command=who.command,
        user=who.user,
        memory_mib=memory_mib,
        gi_id=gi_id,
        ci_id=ci_id,
        kind=kind,
        start_ticks=who.start_ticks,
        started=who.started,
        arguments=who.arguments,
        unit=who.unit,
        container=who.container,
    )
