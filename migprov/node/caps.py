"""Which device files of ``/dev/nvidia-caps`` give access to an instance: their minor numbers.

The driver lists them in ``/proc/driver/nvidia-caps/mig-minors``, a line each: ``gpu0/gi1/access 12``,
``gpu0/gi1/ci0/access 13``. The number after ``gpu`` is that of the device file. Simulated nodes have their own
``/proc``.
"""

from __future__ import annotations

import os
from typing import Dict, Optional, Tuple

from ..mig.state import Gpu, State

_FILE = os.path.join("driver", "nvidia-caps", "mig-minors")


def with_minors(state: State) -> State:
    """The state with ``cap_minor`` of every instance, None where the driver does not tell."""
    known = _read()
    return state._replace(gpus=tuple(_gpu(gpu, known) for gpu in state.gpus), cap_minors=True)


def _gpu(gpu: Gpu, known: Dict[str, int]) -> Gpu:
    instances = []
    for gi in gpu.instances:
        name = "gpu%s/gi%s" % (gpu.minor, gi.gi_id)
        inner = tuple(
            ci._replace(cap_minor=known.get("%s/ci%s/access" % (name, ci.ci_id))) for ci in gi.compute_instances
        )
        instances.append(gi._replace(cap_minor=known.get(name + "/access"), compute_instances=inner))
    return gpu._replace(instances=tuple(instances))


def _read() -> Dict[str, int]:
    try:
        with open(
            os.path.join(os.environ.get("MIGPROV_PROC", "/proc"), _FILE), encoding="ascii", errors="replace"
        ) as file:
            lines = [_line(line) for line in file]
    except OSError:
        return {}
    return dict(line for line in lines if line is not None)


def _line(line: str) -> Optional[Tuple[str, int]]:
    words = line.split()
    return (words[0], int(words[1])) if len(words) == 2 and words[1].isdigit() else None
