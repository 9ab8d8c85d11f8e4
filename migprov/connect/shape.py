"""The shape of a reply, as docs/architecture.md gives it: what is of another shape goes no further than here.

A node may have been taken over, or its disk may be damaged; what works with replies relies on what this has checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..mig import steps
from ..mig.names import BadProfileName, parse

MAX_VALUES = 1_000_000
"""Values in a reply: no real one has a tenth of them."""
MAX_DEPTH = 32
MAX_TEXT = 20_000
"""Characters of one text; what is longer is cut."""
_MOST = 10_000  # processes, steps, differences, changes
_MOST_GPUS = 64
_LONGEST_PROFILE = 200
_MOST_INSTANCES = 16  # GPU instances of a GPU, compute instances of a GPU instance

Check = Callable[[Any], str | None]
"""What is wrong with a value, None when nothing is."""
_WRONG = " is of the wrong type"


def too_much(text: str) -> bool:
    """Whether a JSON text may hold more than `MAX_VALUES` values, seen before it is read."""
    return text.count(",") + text.count("[") + text.count("{") > MAX_VALUES


def harmless(value: Any, depth: int = 0) -> Any:
    """The same value, its texts cut to `MAX_TEXT` and without characters that act on a terminal.

    Control characters, escapes and direction marks, also half characters that no encoding has, become `?`.

    Raises:
        ValueError: nested more than `MAX_DEPTH` levels deep, or a number that JSON does not have.
    """
    kind = type(value)  # exactly those that a JSON text is read as; this runs for each of the thousands of values
    if kind is str:
        return printable(value)
    if kind is float and not math.isfinite(value):
        raise ValueError("a number is not finite")
    if kind is not dict and kind is not list:
        return value
    if depth >= MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    depth += 1
    if kind is list:
        return [harmless(each, depth) for each in value]
    return {printable(key): harmless(each, depth) for key, each in value.items()}


def printable(text: str) -> str:
    """The text, at most `MAX_TEXT` characters of it, with `?` for what cannot be printed and a space for a line end."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}..."
    elif text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one.isspace() else "?" for one in text)


def misfit(reply: Mapping[str, Any]) -> str | None:
    """Where a reply, whose outermost fields are there, is not of the shape; None when it is."""
    for name, check in _REPLY.items():
        wrong = check(reply[name])
        if wrong:
            return f"{name!r}: {wrong}" if not wrong.startswith((".", "[")) else f"{name}{wrong}"
    return None


# -- the pieces ------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else _WRONG


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else _WRONG


def _whole(value: Any) -> str | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
    return None if fits else _WRONG


def _number(value: Any) -> str | None:
    return None if isinstance(value, float) else _whole(value)


def _profile(value: Any) -> str | None:
    if not isinstance(value, str):
        return _WRONG
    return _is_no_profile(value) if len(value) <= _LONGEST_PROFILE else " is no profile"


@lru_cache(1024)  # the nodes of a fleet tell the same few names
def _is_no_profile(name: str) -> str | None:
    if name.startswith("profile "):  # one that this driver has no name for
        return None
    try:
        parse(name)
    except BadProfileName:
        return " is no profile"
    return None


def _or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _each(check: Check, most: int = _MOST) -> Check:
    def of_list(value: Any) -> str | None:
        if not isinstance(value, list):
            return _WRONG
        if len(value) > most:
            return f" has more than {most} elements"
        return next((f"[{i}]{wrong}" for i, each in enumerate(value) if (wrong := check(each))), None)

    return of_list


def _values(check: Check) -> Check:
    def of_mapping(value: Any) -> str | None:
        if not isinstance(value, dict) or len(value) > _MOST:
            return _WRONG
        return next((f"[{key[:40]!r}]{wrong}" for key, each in value.items() if (wrong := check(each))), None)

    return of_mapping


def _fields(needed: Mapping[str, Check], others: Mapping[str, Check] | None = None) -> Check:
    """A mapping with all of the first fields and maybe those of the second; more are no fault."""

    def of_mapping(value: Any) -> str | None:
        if not isinstance(value, dict):
            return _WRONG
        for name, check in needed.items():
            if name not in value:
                return f" has no {name!r}"
            if wrong := check(value[name]):
                return f".{name}{wrong}"
        for name, check in (others or {}).items():
            if name in value and (wrong := check(value[name])):
                return f".{name}{wrong}"
        return None

    return of_mapping


# -- the shape -------------------------------------------------------------------------------------------------------

_ID = _or_none(_whole)
_TROUBLE = _fields({"code": _text, "message": _text}, {"next": _or_none(_text)})
_COMPUTE_INSTANCE = _fields(
    {"ci_id": _ID, "profile": _profile, "start": _ID},
    {"size": _whole, "profile_id": _ID, "uuid": _or_none(_text)},
)
_INSTANCE = _fields(
    {
        "gi_id": _ID,
        "profile": _profile,
        "start": _whole,
        "compute_instances": _each(_COMPUTE_INSTANCE, _MOST_INSTANCES),
    },
    {"profile_id": _ID, "size": _whole},
)
_PROCESS = _fields(
    {"pid": _whole},
    {
        "command": _or_none(_text),
        "user": _or_none(_text),
        "kind": _text,
        "arguments": _or_none(_text),
        "unit": _or_none(_text),
        "container": _or_none(_text),
        "started": _or_none(_number),
        **dict.fromkeys(("memory_mib", "gi_id", "ci_id", "start_ticks"), _ID),
    },
)
_MODE = {"mig_capable": _flag, "mig_current": _flag, "mig_pending": _flag}
_GPU_OPTIONAL = {
    **dict.fromkeys(("uuid", "pci_bus_id", "name", "device_id", "product", "needs_reset"), _or_none(_text)),
    **dict.fromkeys(("minor", "memory_mib", "memory_used_mib"), _ID),
    "instances": _each(_INSTANCE, _MOST_INSTANCES),
    "processes": _each(_PROCESS),
    "error": _or_none(_TROUBLE),
}
_GPU_SILENT = _fields({"index": _whole, "error": _TROUBLE}, {**_MODE, **_GPU_OPTIONAL})
_LISTS = {name: _GPU_OPTIONAL[name] for name in ("instances", "processes")}
_GPU_WELL = _fields({"index": _whole, "uuid": _text, **_MODE, **_LISTS}, _GPU_OPTIONAL)


def _gpu(value: Any) -> str | None:
    return (_GPU_SILENT if isinstance(value, dict) and value.get("error") else _GPU_WELL)(value)


_STATE = _or_none(_fields({"gpus": _each(_gpu, _MOST_GPUS)}, {"driver_version": _or_none(_text)}))

_STEP = {"action": _text, "gpu": _ID, "uuid": _text}
_PROCESS_STEP = {"pid": _ID, "command": _text, "user": _text}
_ACTIONS: dict[str, dict[str, Check]] = {
    steps.SET_MIG_MODE: {"enabled": _flag},
    steps.RESET_GPU: {},
    steps.DESTROY_COMPUTE_INSTANCE: {
        "gi_id": _ID,
        "profile": _profile,
        "gi_start": _ID,
        "ci_id": _ID,
        "ci_profile": _profile,
    },
    steps.DESTROY_GPU_INSTANCE: {"gi_id": _ID, "profile": _profile, "start": _whole},
    steps.CREATE_GPU_INSTANCE: {"profile": _profile, "start": _whole},
    steps.CREATE_COMPUTE_INSTANCE: {"profile": _profile, "gi_start": _ID, "ci_profile": _profile, "ci_start": _ID},
    steps.WAIT_FOR_PROCESS: _PROCESS_STEP,
    steps.END_PROCESS: _PROCESS_STEP,
    steps.STOP_SERVICE: {"unit": _text},
    steps.START_SERVICE: {"unit": _text},
}
_KNOWN_STEPS = {action: _fields({**_STEP, **fields}) for action, fields in _ACTIONS.items()}
_UNKNOWN_STEP = _fields(_STEP)


def _step(value: Any) -> str | None:
    action = value.get("action") if isinstance(value, dict) else None
    return _KNOWN_STEPS.get(action, _UNKNOWN_STEP)(value) if isinstance(action, str) else " is no step"


_STEPS = _each(_step)
_ERROR = _fields(
    {"code": _text, "message": _text},
    {
        "gpu": _ID,
        "next": _or_none(_text),
        "holders": _or_none(_each(_PROCESS)),
        "differences": _or_none(_each(_text)),
        "undone": _or_none(_STEPS),
    },
)
_PLACED = _fields({"profile": _profile, "start": _whole})
_ENTRY = _fields(
    {"devices": _each(_text, 1), "mig_enabled": _flag, "instances": _or_none(_each(_PLACED, _MOST_INSTANCES))}
)


def _entry(value: Any) -> str | None:
    return _ENTRY(value) or (None if value["devices"] else ".devices names no GPU")


_CHANGE = _fields(
    {
        **dict.fromkeys(("when", "who", "task", "result", "message"), _text),
        "before": _each(_entry, _MOST_GPUS),
        "planned": _STEPS,
    },
    {"id": _text, "services": _each(_text)},
)
_FARED = _values(_fields({"result": _text, "error": _or_none(_TROUBLE)}))
_CHECKED = _each(_fields({"gpu": _whole}))


def _gpus(value: Any) -> str | None:
    """How each GPU fared (a mapping by index), or what each needs of the driver (a list)."""
    return _CHECKED(value) if isinstance(value, list) else _FARED(value)


_USED = _fields(
    {
        "gpu": _whole,
        "uuid": _text,
        "busy_percent": _ID,
        "instances": _each(_fields({"gi_id": _whole, "memory_mib": _ID, "memory_used_mib": _ID}), _MOST_INSTANCES),
    }
)
_DATA = _fields(
    {},
    {
        "interrupted": _or_none(_CHANGE),
        "changes": _each(_CHANGE),
        "gpus": _gpus,
        "cuda": _values(_fields({"gpu": _whole, "result": _text, "message": _text})),
        "verified": _each(_whole),
        "usage": _each(_USED, _MOST_GPUS),
    },
)
_REPLY: dict[str, Check] = {
    "before": _STATE,
    "after": _STATE,
    "steps": _STEPS,
    "planned": _STEPS,
    "data": _DATA,
    "error": _or_none(_ERROR),
}
