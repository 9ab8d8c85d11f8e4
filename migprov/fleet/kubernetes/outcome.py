"""What a drain, a resume or a turn of the MIG manager came to."""

from __future__ import annotations

from dataclasses import dataclass

from .client import Json
from .state import KubeNode


@dataclass(frozen=True)
class Outcome:
    """`steps` are those done; in check mode those that would be done, to what is known before them."""

    node: str
    check: bool
    changed: bool
    before: KubeNode
    after: KubeNode
    steps: tuple[Json, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """For plays."""
        return {
            "changed": self.changed,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "steps": list(self.steps),
            "notes": list(self.notes),
        }
