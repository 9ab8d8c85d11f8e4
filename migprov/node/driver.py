"""The driver: is it new enough for MIG on these GPUs?"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Optional, Tuple

from ..mig import geometry
from ..mig.errors import BadRequest
from ..mig.state import Gpu
from .errors import DriverTooOld


def version(text: str) -> Tuple[int, ...]:
    """``580.159.04`` as numbers, for comparison; raises BadRequest for anything else."""
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}", text):
        raise BadRequest("%r is not a driver version such as 580.159.04" % text[:40])
    return tuple(int(part) for part in text.split("."))


def minimum(gpu: Gpu) -> Optional[str]:
    """The first driver with MIG for this GPU's product, from the product table; None when not known."""
    product = geometry.find(gpu.device_id, gpu.name)
    return product.min_driver if product else None


def check(installed: str, gpus: Iterable[Gpu], least: Optional[str]) -> List[Dict[str, Any]]:
    """What each MIG-capable GPU needs; raises DriverTooOld for the first that needs more than is installed.

    ``least`` overrules the products' own minimum. A product whose minimum is not known is listed with None.
    """
    found: List[Dict[str, Any]] = []
    for gpu in gpus:
        if not gpu.mig_capable:
            continue
        needed = least or minimum(gpu)
        found.append({"gpu": gpu.index, "name": gpu.name, "minimum": needed, "installed": installed})
        if needed is not None and version(installed) < version(needed):
            raise DriverTooOld(
                "%s, %s, needs driver %s or newer for %s, and this node has %s"
                % (gpu.label, gpu.name, needed, "this layout" if least else "MIG", installed),
                gpu=gpu.index,
                next="upgrade the driver; nothing was changed",
            )
    return found
