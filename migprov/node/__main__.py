"""Read one request from standard input, answer one reply on standard output."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, Dict, Optional

from ..mig import steps
from ..mig.errors import MigError
from . import request as requests
from . import tasks
from .nvml import Nvml
from .outcome import Outcome, differs, hangs, unexpected
from .request import Request
from .watchdog import Watchdog

_LONGEST_MESSAGE = 1500  # characters; what was asked for may stand in it


def answer(request: Request, hung: Callable[[Dict[str, Any]], None]) -> Dict[str, Any]:
    """Run the request and build its reply; every MigError becomes the reply's error.

    ``hung`` gets the reply instead when the driver stops answering on the way.
    """

    def told(known: Outcome) -> None:
        hung(_reply(request.task, request.check, known))

    limit, nvml = request.step_limit_s, Nvml()
    try:
        with Watchdog(limit, lambda: told(Outcome(None, None, error=hangs(None, "opening the driver", limit)))):
            nvml.__enter__()
    except MigError as error:
        return _reply(request.task, request.check, Outcome(None, None, error=error))
    outcome = Outcome(None, None)
    try:
        outcome = tasks.run(nvml, request, told)
    except MigError as error:
        outcome = Outcome(None, None, error=error)
    except Exception as failure:  # the reply is the only way to tell; nothing is hidden from it
        outcome = Outcome(None, None, error=unexpected(failure))
    finally:
        with Watchdog(limit, lambda: told(outcome)):  # all is done: a driver that will not close changes nothing
            nvml.__exit__()
    return _reply(request.task, request.check, outcome)


def _reply(task: Optional[str], check: bool, outcome: Outcome) -> Dict[str, Any]:
    return {
        "protocol": requests.PROTOCOL,
        "task": task,
        "check": check,
        "changed": _changed(outcome),
        "before": outcome.before.to_json() if outcome.before else None,
        "after": outcome.after.to_json() if outcome.after else None,
        "planned": [step.to_json() for step in outcome.planned],
        "steps": [step.to_json() for step in outcome.steps],
        "data": outcome.data or {},
        "error": _error(outcome),
    }


def _changed(outcome: Outcome) -> bool:
    """Whether anything was changed: by a step, also by one that failed all the same. Waiting changes nothing."""
    if any(step.action != steps.WAIT_FOR_PROCESS for step in outcome.steps):
        return True
    return outcome.before is not None and outcome.after is not None and differs(outcome.before, outcome.after)


def _error(outcome: Outcome) -> Optional[Dict[str, Any]]:
    error = outcome.error
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message[:_LONGEST_MESSAGE],
        "gpu": error.gpu,
        "next": error.next,
        "holders": error.holders,
        "differences": error.differences,
        "undone": [step.to_json() for step in outcome.undone],
    }


def main() -> int:
    """The program. Its exit status is 0 whenever it could reply, also with an error; ``--boot FILE``: see boot.py."""
    if sys.argv[1:2] == ["--boot"]:
        from . import boot

        return boot.main("".join(sys.argv[2:3]))
    try:
        reply = answer(requests.read(sys.stdin.buffer), _reply_and_leave)
    except MigError as error:
        reply = _reply(None, False, Outcome(None, None, error=error))
    except Exception as error:  # the reply is the only way to tell; nothing is hidden from it
        reply = _reply(None, False, Outcome(None, None, error=unexpected(error)))
    _write(reply)
    return 0


def _reply_and_leave(reply: Dict[str, Any]) -> None:
    """From the watchdog's thread: the main one hangs in the driver and cannot be ended in any other way."""
    from . import ending, lock

    try:
        lock.let_go()
        _write(reply)
        ending.end_children()
    finally:
        os._exit(0)


def _write(reply: Dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(reply, ensure_ascii=True) + "\n")
        sys.stdout.flush()
    except OSError:
        # nobody listens any more; what was done stands in the journal
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def end(status: int) -> None:
    """End at once: all is written and closed, and to take the interpreter apart takes as long as the imports did."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    end(main())
