"""What happens while many nodes are worked on, told as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..result import Result


@dataclass(frozen=True)
class Started:
    """Work on `host` begins. `done` of `total` nodes are finished."""

    host: str
    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """`host` is done with, well or not: see `result`. It is counted in `done`."""

    host: str
    result: Result
    done: int
    total: int


Event: TypeAlias = Started | Finished
