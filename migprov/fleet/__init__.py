"""Many nodes: the inventory, one task on all of them at once, and what happens meanwhile."""

from __future__ import annotations

from .events import Event, Finished, Started
from .run import FORKS, run, run_iter

__all__ = ["FORKS", "Event", "Finished", "Started", "run", "run_iter"]
