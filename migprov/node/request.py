"""Requests: what may stand in one, checked before anything is read or changed."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Dict, NamedTuple

from ..mig.errors import BadRequest

PROTOCOL = 1
_LARGEST = 4 << 20
_PARAMS = {
    "info": ("processes", "profiles"),
    "driver": ("minimum",),
    "mig_mode": ("enabled", "gpus"),
    "reset": ("gpus", "force"),
    "instances": ("instances", "gpus"),
    "verify": ("entries",),
    "layout": ("entries",),
}


class Request(NamedTuple):
    """A request whose frame is sound; the parameters are checked by their task."""

    task: str
    params: Dict[str, Any]
    check: bool
    wait_s: float

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
        body = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRequest("the request is not JSON") from None
    return parse(body)


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
    wait = body.get("wait_s", 5.0)
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait <= 3600:
        raise BadRequest("wait_s must be a number of seconds from 0 to 3600")
    return Request(task, params, check, float(wait))
