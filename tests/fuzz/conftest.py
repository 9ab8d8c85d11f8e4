"""How long is tried: a few examples, the same each time, in the suite; many new ones for `make fuzz`."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

_CALM: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
settings.register_profile("quick", max_examples=40, derandomize=True, database=None, **_CALM)
settings.register_profile("long", max_examples=1500, **_CALM)
settings.load_profile("long" if os.environ.get("MIGPROV_FUZZ") == "long" else "quick")
