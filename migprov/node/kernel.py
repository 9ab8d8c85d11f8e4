"""The NVIDIA kernel module, as ``/sys/module/nvidia`` shows it. Simulated nodes have their own ``/sys``."""

from __future__ import annotations

import os
from typing import List, Optional


def module_version() -> Optional[str]:
    """The version of the loaded module, or None where the kernel shows none."""
    try:
        with open(_path("version"), encoding="ascii", errors="replace") as file:
            return file.read().strip() or None
    except OSError:
        return None


def modules_on_top() -> List[str]:
    """Modules that use it, such as nvidia_drm: they can hold a card with no process at all."""
    try:
        return sorted(os.listdir(_path("holders")))
    except OSError:
        return []


def _path(name: str) -> str:
    return os.path.join(os.environ.get("MIGPROV_SYS", "/sys"), "module", "nvidia", name)
