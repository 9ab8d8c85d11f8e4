"""What was changed on this node: when, by whom, from what, to what, and how it ended.

One line of JSON a record, appended and synced before the first write of a change and after its last, so that a run
that died is found by the next. ``rollback`` takes the layout to go back to from here.
"""

from __future__ import annotations

import errno
import json
import os
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import processes
from .errors import NoPermission
from .lock import home

_LARGEST = 1 << 20
_KEPT = 200
_KEPT_BYTES = _LARGEST // 2
_BOOT = "/proc/sys/kernel/random/boot_id"
_begun: List[str] = []  # changes of this very run that have no end yet


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
        "by": _itself(),
    }
    _trim()
    _append(record)
    _begun.append(str(record["id"]))
    return str(record["id"])


def end(change: str, result: str, message: str = "", changed: bool = True) -> None:
    """Write down how a change ended; raises NoPermission."""
    _append({"end": change, "result": result, "message": message[:500], "changed": changed})
    if change in _begun:
        _begun.remove(change)


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


def under_way() -> Optional[Change]:
    """The change that this very run has begun and not ended."""
    return next((change for change in changes() if change.id in _begun), None)


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
        result=str(ended.get("result", "done")) if ended else _without_end(record.get("by")),
        message=str(ended.get("message", "")) if ended else "",
        changed=ended is None or ended.get("changed") is not False,
        continued=ended is not None and ended.get("continued") is True,
    )


def _without_end(by: Any) -> str:
    """Whether a change without an end is under way. No clock is asked: those of a machine jump."""
    if not isinstance(by, dict) or by.get("boot") != _boot():
        return "interrupted"
    pid, ticks = by.get("pid"), by.get("start_ticks")
    if isinstance(pid, int) and isinstance(ticks, int) and processes.is_running(pid, ticks):
        return "running"
    return "interrupted"


def _itself() -> Dict[str, Any]:
    who = processes.identity(os.getpid())
    return {"pid": os.getpid(), "start_ticks": who.start_ticks if who else None, "boot": _boot()}


def _boot() -> str:
    """What tells this run of the machine from every other."""
    try:
        with open(_BOOT, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _dicts(value: Any) -> List[Dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> List[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _records() -> Iterable[Dict[str, Any]]:
    try:
        with open(path(), "rb") as file:
            # should it be larger than any that was trimmed, then the newest count; half a line is none
            file.seek(max(file.seek(0, os.SEEK_END) - 4 * _LARGEST, 0))
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
            line = (b"\n" if torn else b"") + json.dumps(record).encode() + b"\n"
            if os.write(descriptor, line) < len(line):  # as much as the disk had room for
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
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
    lines = [(str(record.get("id", record.get("end"))), json.dumps(record).encode() + b"\n") for record in _records()]
    kept = _newest(lines)
    new = path() + ".new"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(line for change, line in lines if change in kept)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path())
    except OSError as error:
        raise _unusable(error) from None


def _newest(lines: Sequence[Tuple[str, bytes]]) -> Set[str]:
    """The changes to keep: the newest, as many as there is room for, and one that waits to be brought to its end."""
    sizes: Dict[str, int] = {}
    for change, line in lines:
        sizes[change] = sizes.get(change, 0) + len(line)
    died = interrupted()
    kept = set() if died is None else {died.id}
    room = _KEPT_BYTES
    for number, change in enumerate(list(sizes)[: -_KEPT - 1 : -1]):
        room -= sizes[change]
        if room < 0 and number:
            break
        kept.add(change)
    return kept


def _unusable(error: OSError) -> NoPermission:
    return NoPermission(
        "the journal %s cannot be used: %s" % (path(), error.strerror),
        next="make it readable and writable for the user that migprov runs as, and see that the disk is not full",
    )
