"""What is worth saying beside the result of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..node.request import READING
from ..result import Result


def interrupted(result: Result) -> str | None:
    """One sentence about the last change of the node, if the run that made it died on the way."""
    change: Mapping[str, Any] | None = result.data.get("interrupted")
    if not change:
        return None
    by = f" by {change['who']}" if change.get("who") else ""
    said = f"the last change ({change['task']}, {change['when']}{by}) was interrupted: its run died on the way."
    if result.task not in READING and not result.check and not result.failed:
        return f"{said} This run went on from what the GPUs were then."
    return f"{said} Next: apply the layout again, which goes on from what the GPUs are, or 'migprov rollback'."
