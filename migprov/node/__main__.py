"""Read one request from standard input, answer one reply on standard output."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, Optional

from ..mig.errors import MigError
from . import request as requests
from . import tasks
from .nvml import Nvml
from .request import Request
from .tasks import Outcome


def answer(request: Request) -> Dict[str, Any]:
    """Run the request and build its reply; every MigError becomes the reply's error."""
    try:
        with Nvml() as nvml:
            outcome = tasks.run(nvml, request)
    except MigError as error:
        outcome = Outcome(None, None, error=error)
    return _reply(request.task, request.check, outcome)


def _reply(task: Optional[str], check: bool, outcome: Outcome) -> Dict[str, Any]:
    return {
        "protocol": requests.PROTOCOL,
        "task": task,
        "check": check,
        "changed": bool(outcome.steps),
        "before": outcome.before.to_json() if outcome.before else None,
        "after": outcome.after.to_json() if outcome.after else None,
        "planned": [step.to_json() for step in outcome.planned],
        "steps": [step.to_json() for step in outcome.steps],
        "data": outcome.data or {},
        "error": _error(outcome),
    }


def _error(outcome: Outcome) -> Optional[Dict[str, Any]]:
    error = outcome.error
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "gpu": error.gpu,
        "next": error.next,
        "holders": error.holders,
        "differences": error.differences,
        "undone": [step.to_json() for step in outcome.undone],
    }


def main() -> int:
    """The program. Its exit status is 0 whenever it could reply, also with an error."""
    try:
        reply = answer(requests.read(sys.stdin.buffer))
    except MigError as error:
        reply = _reply(None, False, Outcome(None, None, error=error))
    except Exception as error:  # the reply is the only way to tell; nothing is hidden from it
        reply = _reply(None, False, Outcome(None, None, error=tasks.unexpected(error)))
    sys.stdout.write(json.dumps(reply, ensure_ascii=True) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
