"""Requests: what may stand in one, checked before anything is read or changed."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Dict, List, NamedTuple

from ..mig.errors import BadRequest

PROTOCOL = 1
_LARGEST = 4 << 20
_DEEPEST = 32
_LONGEST_LIST = 1024
_LONGEST_NUMBER = 20
_DRAIN = ("drain", "stop_on_error")
_PARAMS = {
    "info": ("processes", "profiles", "caps"),
    "driver": ("minimum",),
    "history": (),
    "usage": (),
    "mig_mode": ("enabled", "gpus", *_DRAIN),
    "reset": ("gpus", "force", *_DRAIN),
    "instances": ("instances", "gpus", *_DRAIN),
    "verify": ("entries", "cuda"),
    "layout": ("entries", *_DRAIN),
    "drain": ("gpus", *_DRAIN),
    "rollback": _DRAIN,
}
READING = frozenset({"info", "driver", "verify", "history", "usage"})
"""The tasks that only read."""


class Request(NamedTuple):
    """A request whose frame is sound; the parameters are checked by their task.

    ``at_boot``: made by ``boot.py``, never by who sends a request.
    """

    task: str
    params: Dict[str, Any]
    check: bool
    wait_s: float
    who: str
    step_limit_s: float
    at_boot: bool = False

    def flag(self, name: str, default: bool) -> bool:
        """A parameter that must be true or false; raises BadRequest."""
        value = self.params.get(name, default)
        if not isinstance(value, bool):
            raise BadRequest("%s must be true or false" % name)
        return value


def read(stream: BinaryIO) -> Request:
    """Read one request (at most 4 MiB of JSON); raises BadRequest."""
    data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise BadRequest("the request is larger than %d bytes" % _LARGEST)
    try:
        body = json.loads(data.decode("utf-8"), parse_int=_whole)
    except (ValueError, RecursionError):
        raise BadRequest("the request is not JSON") from None
    _check_size(body)
    return parse(body)


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:  # the time that a conversion takes grows with the square
        raise BadRequest("the request holds a number of %d digits" % len(digits))
    return int(digits)


def _check_size(body: Any) -> None:
    level = [body]
    for _ in range(_DEEPEST):
        inner: List[Any] = []
        for value in level:
            if isinstance(value, (list, dict)) and len(value) > _LONGEST_LIST:
                raise BadRequest("the request holds a list of %d elements" % len(value))
            inner += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        level = inner
    if level:
        raise BadRequest("the request is nested more than %d levels deep" % _DEEPEST)


def parse(body: Any) -> Request:
    """Check the frame of a request; raises BadRequest."""
    if not isinstance(body, dict):
        raise BadRequest("the request must be a mapping")
    if body.get("protocol") != PROTOCOL:
        raise BadRequest("this program speaks protocol %d, the request %r" % (PROTOCOL, body.get("protocol")))
    task = body.get("task")
    if not isinstance(task, str) or task not in _PARAMS:
        raise BadRequest("unknown task %r; known are %s" % (task, ", ".join(_PARAMS)))
    params = body.get("params", {})
    if not isinstance(params, dict):
        raise BadRequest("params must be a mapping")
    unknown = sorted(str(key) for key in params if key not in _PARAMS[task])
    if unknown:
        raise BadRequest("task %s has no parameter %s; it has %s" % (task, unknown[0][:80], ", ".join(_PARAMS[task])))
    check = body.get("check", False)
    if not isinstance(check, bool):
        raise BadRequest("check must be true or false")
    who = body.get("who", "")
    if not isinstance(who, str):
        raise BadRequest("who must be text")
    return Request(
        task,
        params,
        check,
        seconds(body, "wait_s", 5.0, 0.0),
        _readable(who),
        seconds(body, "step_limit_s", 120.0, 0.1),
    )


def seconds(body: Dict[str, Any], name: str, default: float, least: float) -> float:
    """A number of seconds, at most an hour; raises BadRequest."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= 3600:
        raise BadRequest("%s must be a number of seconds from %g to 3600" % (name, least))
    return float(value)


def _readable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:200])
