"""`/proc/driver/nvidia-caps/mig-minors` of a simulated node: the numbers of the device files of instances.

The driver lists every instance that could ever exist, in a file that never changes. The numbering is that of the open
kernel modules (nv-caps.c), and what was recorded agrees: GPU instance 2 of GPU 0 is 21, its compute instance 0 is 22.
"""

from __future__ import annotations

from pathlib import Path

GPU_INSTANCES, COMPUTE_INSTANCES = 15, 8
_FIRST = 3  # 1 and 2 are mig/config and mig/monitor
_OF_INSTANCE = 1 + COMPUTE_INSTANCES
_OF_GPU = GPU_INSTANCES * _OF_INSTANCE


def write_mig_minors(proc: Path, gpus: int) -> None:
    """Write the file below `proc`, for GPUs whose device files are numbered from 0."""
    folder = proc / "driver" / "nvidia-caps"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["config 1", "monitor 2"]
    for gpu in range(gpus):
        for gi in range(GPU_INSTANCES):
            minor = _FIRST + _OF_GPU * gpu + _OF_INSTANCE * gi
            lines.append(f"gpu{gpu}/gi{gi}/access {minor}")
            lines += [f"gpu{gpu}/gi{gi}/ci{ci}/access {minor + 1 + ci}" for ci in range(COMPUTE_INSTANCES)]
    (folder / "mig-minors").write_text("".join(f"{line}\n" for line in lines))
