"""At boot: bring the GPUs back to a saved layout, within a time limit, and say in one line how it went.

``python3 migprov-node.pyz --boot FILE``. The file is a request of the task ``layout`` with one key more, ``boot``:
``{"driver_wait_s": 60, "limit_s": 300}``. The exit status is 0 when the layout is in place, else 1.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..mig.drain import REFUSE, Drain
from ..mig.errors import BadRequest, MigError, UnknownGpu
from ..mig.select import chosen, wanted_gpus
from ..mig.state import Gpu
from ..mig.wanted import Entry, entries_from_json
from . import ending, journal, lock, services, tasks
from . import request as requests
from .nvml import Nvml
from .outcome import Outcome, unexpected
from .read import read
from .request import Request
from .watchdog import Watchdog

_PAUSE_S = 0.5
_LARGEST = 4 << 20
_LATE = ("no_driver", "driver_not_loaded", "no_permission", "nvml")  # what may be otherwise in a moment
_FOR_GOOD = ("gpu_lost", "reset_required")  # what waiting does not mend
_AGAIN = "see that the file is there and sound, or install the restore again (role mig_persist)"


class Saved(NamedTuple):
    """A saved layout, and how long to wait for the driver and for everything together, in seconds."""

    request: Request
    entries: List[Entry]
    driver_wait_s: float
    limit_s: float


def main(path: str) -> int:
    """Restore the layout that the file holds; returns the exit status. Nothing is raised."""
    try:
        saved = load(path)
        with Watchdog(saved.limit_s, lambda: _too_late(saved.limit_s)):
            done, failed = _restore(saved)
    except MigError as error:
        done, failed = [], [_worded(error)]
    except Exception as failure:  # whatever it was: the journal must have its one line
        done, failed = [], [_worded(unexpected(failure))]
    _say(done, failed)
    return 1 if failed else 0


def load(path: str) -> Saved:
    """Read a saved layout; raises BadRequest naming the file."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise BadRequest("it is larger than %d bytes" % _LARGEST)
        return _parsed(json.loads(data.decode("utf-8")))
    except OSError as error:
        raise BadRequest("%s cannot be read: %s" % (path, error.strerror), next=_AGAIN) from None
    except (ValueError, RecursionError):
        raise BadRequest("%s is not JSON" % path, next=_AGAIN) from None
    except BadRequest as error:
        raise BadRequest("%s: %s" % (path, error.message), next=_AGAIN) from None


def _parsed(body: Any) -> Saved:
    request = requests.parse(body)
    if request.task != "layout" or request.check:
        raise BadRequest("only a layout that is to be applied can be restored")
    if Drain.from_json(request.params.get("drain")).policy != REFUSE:
        raise BadRequest("at boot no process is waited for or ended: the drain policy must be refuse")
    limits = body.get("boot", {})
    if not isinstance(limits, dict) or set(limits) - {"driver_wait_s", "limit_s"}:
        raise BadRequest("boot must be a mapping of driver_wait_s and limit_s")
    return Saved(
        request._replace(at_boot=True, who=request.who or "restored at boot"),
        entries_from_json(request.params.get("entries")),
        requests.seconds(limits, "driver_wait_s", 60.0, 0.0),
        requests.seconds(limits, "limit_s", 300.0, 1.0),
    )


def _restore(saved: Saved) -> Tuple[List[str], List[str]]:
    """What was done and what was not, in words."""
    began = time.monotonic()
    gpus = _await_driver(saved, began + saved.driver_wait_s)
    here, missing = _present(saved.entries, gpus)
    failed = ["%s is no GPU of this node now" % selector for selector in missing]
    if not here:
        return [], failed
    wanted = sorted(wanted_gpus(gpus, here))
    request = saved.request._replace(params={**saved.request.params, "entries": [entry.to_json() for entry in here]})
    nvml = Nvml().__enter__()
    outcome = tasks.run(nvml, request, _hung)
    done, refused = _told(outcome, wanted, time.monotonic() - began)
    failed += refused
    with Watchdog(request.step_limit_s, lambda: _end(done, failed)):  # all is done: it changes nothing any more
        nvml.__exit__()
    return done, failed


def _await_driver(saved: Saved, deadline: float) -> Tuple[Gpu, ...]:
    """The GPUs, once the driver answers and shows all that are named; what is there at the deadline otherwise.

    Raises what the driver last answered when it did not come up by then.
    """
    while True:
        gpus: Tuple[Gpu, ...] = ()
        trouble: Optional[MigError] = None
        try:
            with Watchdog(saved.request.step_limit_s, lambda: _too_late(saved.request.step_limit_s)), Nvml() as nvml:
                gpus = read(nvml, processes=False).gpus
        except MigError as error:
            if error.code not in _LATE:
                raise
            trouble = error
        if gpus and not _present(saved.entries, gpus)[1] and not any(_may_come(gpu) for gpu in gpus):
            return gpus
        if time.monotonic() >= deadline:
            if trouble is not None:
                raise trouble
            return gpus
        time.sleep(_PAUSE_S)


def _may_come(gpu: Gpu) -> bool:
    return gpu.error is not None and gpu.error.code not in _FOR_GOOD


def _present(entries: List[Entry], gpus: Tuple[Gpu, ...]) -> Tuple[List[Entry], List[str]]:
    """The entries without the GPUs that are not there, and what those were called: the others get their layout."""
    kept: List[Entry] = []
    missing: List[str] = []
    for entry in entries:
        if isinstance(entry.devices, str):
            kept.append(entry)
            continue
        here = []
        for selector in entry.devices:
            try:
                chosen(gpus, (selector,))
                here.append(selector)
            except UnknownGpu:
                missing.append(str(selector))
        if here:
            kept.append(entry._replace(devices=tuple(here)))
    return kept, missing


def _told(outcome: Outcome, wanted: List[int], seconds: float) -> Tuple[List[str], List[str]]:
    results: Dict[str, Any] = (outcome.data or {}).get("gpus", {})
    errors = {int(index): result["error"] for index, result in results.items() if result["error"]}
    failed = [_line(error["message"], error["next"]) for error in errors.values()]
    error = outcome.error
    if error is not None and (error.gpu is None or not errors):
        failed.append(_worded(error))
    restored = [index for index in wanted if results.get(str(index), {}).get("result") == "done"]
    whole = error is None or bool(results)
    in_place = [index for index in wanted if whole and index not in errors and index not in restored]
    done = []
    if restored:
        done.append("GPU %s: layout restored in %.1f s" % (_list(restored), seconds))
    if in_place and not (error is not None and error.gpu is None):
        done.append("GPU %s: layout already in place" % _list(in_place))
    return done, failed


def _list(indices: List[int]) -> str:
    return ", ".join(str(index) for index in indices)


def _hung(outcome: Outcome) -> None:
    """From the watchdog's thread: the main one hangs in the driver and cannot be ended in any other way."""
    _end([], [_worded(outcome.error)] if outcome.error else [])


def _too_late(limit_s: float) -> None:
    """The same for all else that does not return."""
    late = "not done within %g s: the driver hangs or is slow" % limit_s
    _say([], [_line(late, "look at dmesg for Xid and at migprov info, then apply the layout again")])
    with suppress(MigError):
        for change in (journal.under_way(), journal.interrupted()):
            for unit in change.services if change else ():
                with suppress(MigError):
                    services.start(unit, wait=False)
    _leave(1)


def _end(done: List[str], failed: List[str]) -> None:
    _say(done, failed)
    _leave(1 if failed else 0)


def _leave(status: int) -> None:
    try:
        lock.let_go()
        ending.end_children()
    finally:
        os._exit(status)


def _worded(error: MigError) -> str:
    return _line(error.message, error.next)


def _line(message: str, following: str) -> str:
    return "%s (next: %s)" % (message, following) if following else message


def _say(done: List[str], failed: List[str]) -> None:
    """One line; under systemd with the level in front by which the journal files it."""
    parts = [*done, *("could not restore: " + reason for reason in failed)]
    text = "migprov: " + " ".join("; ".join(parts).split())
    journalled = "<3>" if failed else "<6>"
    stream = sys.stderr if failed else sys.stdout
    with suppress(OSError):
        stream.write((journalled if os.environ.get("JOURNAL_STREAM") else "") + text + "\n")
        stream.flush()
