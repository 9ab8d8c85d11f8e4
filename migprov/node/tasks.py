"""The tasks by name: each is in `reading` or in `changing`, and only the one that is asked for is loaded."""

from __future__ import annotations

from typing import Callable

from .nvml import Nvml
from .outcome import Outcome, hung_in
from .request import READING, Request
from .watchdog import Watchdog


def run(nvml: Nvml, request: Request, hung: Callable[[Outcome], None]) -> Outcome:
    """Run the request's task. Raises MigError only when nothing was changed; later failures are in the outcome.

    ``hung`` is called with what is known when the driver stops answering; it is expected to end the process.
    """
    if request.task in READING:
        from . import reading

        limit = request.step_limit_s * (2 if request.params.get("cuda") else 1)
        with Watchdog(limit, lambda: hung(hung_in(request.task, limit))):
            return reading.TASKS[request.task](nvml, request)
    from . import changing

    return changing.run(nvml, request, hung)
