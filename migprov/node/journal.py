"""What was changed on this node: when, by whom, from what, to what, and how it ended.

One line of JSON a record, appended and synced before the first write of a change and after its last, so that a run
that died is found by the next. ``rollback`` takes the layout to go back to from here.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set

from . import processes
from .errors import NoPermission
from .lock import home

_LARGEST = 1 << 20
_KEPT = 200


class Change(NamedTuple):
    """One change. ``result`` is ``done``, ``failed``, ``running`` or, for a run that died, ``interrupted``.

    ``before`` holds entries of a layout with every placement, one a GPU that was to be changed; ``services`` are the
    units that were to be stopped for it and started again. ``changed`` is False where no GPU's layout was changed.
    ``continued``: a later run has brought what was interrupted to an end.
    """

    id: str
    when: str
    who: str
    task: str
    before: List[Dict[str, Any]]
    planned: List[Dict[str, Any]]
    services: List[str]
    result: str
    message: str = ""
    changed: bool = True
    continued: bool = False


def path() -> str:
    """The journal's file: ``~/.local/state/migprov/journal.jsonl`` of the user this runs as."""
    return os.path.join(home(), ".local", "state", "migprov", "journal.jsonl")


def begin(who: str, task: str, before: List[Dict[str, Any]], planned: List[Dict[str, Any]], services: List[str]) -> str:
    """Write down a change that is about to begin and return its id. Call it with the node's lock held.

    Raises NoPermission when the journal cannot be written: then nothing may be changed.
    """
    now = time.time()
    record = {
        "id": "%d-%d" % (int(now * 1000), os.getpid()),
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(now)),
        "who": who,
        "task": task,
        "before": before,
        "planned": planned,
        "services": services,
    }
    _trim()
    _append(record)
    return str(record["id"])


def end(change: str, result: str, message: str = "", changed: bool = True) -> None:
    """Write down how a change ended; raises NoPermission."""
    _append({"end": change, "result": result, "message": message[:500], "changed": changed})


def continued(change: Change, message: str) -> None:
    """Write down that a later run has brought an interrupted change to an end; raises NoPermission."""
    _append({"end": change.id, "result": change.result, "message": message, "continued": True})


def changes() -> List[Change]:
    """All changes, oldest first; lines that a power cut left half-written are passed over."""
    begun: Dict[str, Dict[str, Any]] = {}
    ended: Dict[str, Dict[str, Any]] = {}
    for record in _records():
        if "end" in record:
            ended[str(record["end"])] = record
        elif "id" in record:
            begun[str(record["id"])] = record
    return [_change(record, ended.get(key)) for key, record in begun.items()]


def interrupted() -> Optional[Change]:
    """The latest change that was not brought to an end, neither by its own run nor by later ones on all its GPUs."""
    covered: Set[str] = set()
    for change in changes()[::-1]:
        touched = {str(step["uuid"]) for step in change.planned if step.get("uuid")}
        if change.result == "interrupted" and not change.continued and (touched - covered or not touched):
            return change
        if change.result != "running":
            covered |= touched
    return None


def as_data(died: Optional[Change]) -> Dict[str, Any]:
    """How replies tell of an interrupted change; nothing where there is none."""
    return {} if died is None else {"interrupted": dict(died._asdict())}


def _change(record: Dict[str, Any], ended: Optional[Dict[str, Any]]) -> Change:
    return Change(
        id=str(record["id"]),
        when=str(record.get("when", "")),
        who=str(record.get("who", "")),
        task=str(record.get("task", "")),
        before=_dicts(record.get("before")),
        planned=_dicts(record.get("planned")),
        services=_texts(record.get("services")),
        result=str(ended.get("result", "done")) if ended else _without_end(str(record["id"])),
        message=str(ended.get("message", "")) if ended else "",
        changed=ended is None or ended.get("changed") is not False,
        continued=ended is not None and ended.get("continued") is True,
    )


def _without_end(change: str) -> str:
    """Whether a change without an end is under way: its process has the pid of the id and began before it."""
    began_ms, _, pid = change.partition("-")
    if not (began_ms.isdecimal() and pid.isdecimal()):
        return "interrupted"
    process = processes.identity(int(pid))
    alive = process is not None and process.state not in "ZX"
    # the time of boot, which start times count from, is told in whole seconds
    return "running" if alive and process and process.started <= int(began_ms) / 1000 + 2 else "interrupted"


def _dicts(value: Any) -> List[Dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> List[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _records() -> Iterable[Dict[str, Any]]:
    try:
        with open(path(), "rb") as file:
            lines = file.read(4 * _LARGEST).split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(error) from None
    for line in lines:
        try:
            record = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def _append(record: Dict[str, Any]) -> None:
    try:
        os.makedirs(os.path.dirname(path()), mode=0o700, exist_ok=True)
        descriptor = os.open(path(), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            # a power cut may have left a line without its end: the new one must not be lost in it
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, (b"\n" if torn else b"") + json.dumps(record).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unusable(error) from None


def _trim() -> None:
    """Keep the last changes only, once the file has grown; the new file replaces the old one whole."""
    try:
        if os.path.getsize(path()) <= _LARGEST:
            return
    except OSError:
        return
    records = list(_records())
    kept = {str(record["id"]) for record in [r for r in records if "id" in r][-_KEPT:]}
    new = path() + ".new"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for record in records:
                if str(record.get("id", record.get("end"))) in kept:
                    file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path())
    except OSError as error:
        raise _unusable(error) from None


def _unusable(error: OSError) -> NoPermission:
    return NoPermission(
        "the journal %s cannot be used: %s" % (path(), error.strerror),
        next="make it readable and writable for the user that migprov runs as, and see that the disk is not full",
    )
