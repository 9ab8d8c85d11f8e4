"""The two command lines that every transport uses, and what their answers mean. Pure: no I/O.

*run* finds the program on the node by its hash and runs it with the request on standard input; *install*
takes the program and then the request on standard input, stores the program, and runs it. See
`quick.py` and `bootstrap.py` for what happens on the node.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from ..errors import (
    BadReply,
    CannotStore,
    NodeError,
    NoPython,
    ProgramMissing,
    PythonTooOld,
    UnsafeFolder,
)
from . import shape

PROTOCOL = 1
MAX_REPLY = 16 * 1024 * 1024
"""Bytes of standard output after which a transport stops reading: no real reply is that long."""
MAX_STDERR = 64 * 1024
"""Bytes of standard error that a transport keeps (the last ones)."""

# Private exit statuses. 126, 127 and 128+n belong to the shell, 1 to sudo and Python, 255 to ssh.
NOT_THERE = 110
NO_PYTHON = 111
PYTHON_TOO_OLD = 112
UNSAFE_FOLDER = 113
CANNOT_STORE = 114
BAD_TRANSFER = 115

_PYTHONS = (
    "python3",
    "/usr/bin/python3",
    "/usr/local/bin/python3",
    "/usr/libexec/platform-python",
    *(f"python3.{minor}" for minor in range(14, 7, -1)),
    "python",
)
# -E, -s and -S: nothing of the user's or the site's gets in, and Python starts faster; the zipapp brings
# all it needs. Python 2.7 knows them too.
_FLAGS = "-E -s -S"
_MARK = "migprov-boot: "
_REPLY = '{"protocol"'  # how the program's answer begins
_STATE_OR_NULL = (dict, type(None))
_SHAPE: dict[str, type | tuple[type, ...]] = {
    "task": (str, type(None)),  # null when not even the task could be read from the request
    "check": bool,
    "changed": bool,
    "before": _STATE_OR_NULL,
    "after": _STATE_OR_NULL,
    "steps": list,
    "planned": list,
    "data": dict,
    "error": _STATE_OR_NULL,
}


def run_command(digest: str, *, python: str | None = None, request_file: str | None = None) -> str:
    """The command line that runs the program named `digest`; one line of POSIX sh.

    The request comes on standard input, or from `request_file` on the node where a connection cannot pipe.
    `python` is the interpreter to use; None: the first one of the usual places that is 3.8 or newer.
    """
    # The bootstrap goes along for the case that not all is well, and is not even compiled when all is.
    arguments = ("run", digest, "-", request_file or "-", "-", _lines("bootstrap.py"))
    return _command(python, _lines("quick.py"), *arguments)


def install_command(
    digest: str,
    size: int,
    *,
    python: str | None = None,
    request_file: str | None = None,
    program_file: str | None = None,
) -> str:
    """The command line that stores the program of `size` bytes, then runs it; one line of POSIX sh.

    Standard input carries the program, then the request; either comes from its file on the node if given.
    """
    return _command(
        python, _lines("bootstrap.py"), "install", digest, str(size), request_file or "-", program_file or "-"
    )


def _command(python: str | None, *arguments: str) -> str:
    words = " ".join(shlex.quote(word) for word in arguments)
    pythons = " ".join(shlex.quote(one) for one in ((python,) if python else _PYTHONS))
    # A Python that is too old, or a name that leads nowhere, gives way to the next; the worst that was
    # met is the answer when none is left. Standard input is untouched until a Python is new enough.
    return (
        f'r={NO_PYTHON}; for p in {pythons}; do command -v "$p" >/dev/null 2>&1 || continue; '
        f'"$p" {_FLAGS} -c {words}; s=$?; case $s in {PYTHON_TOO_OLD}) r=$s;; 126|127) ;; *) exit $s;; esac; '
        f'done; [ $r = {NO_PYTHON} ] && echo "{_MARK}"{shlex.quote(pythons)} >&2; exit $r'
    )


@cache
def _lines(file: str) -> str:
    # One exec("...") on one line: csh allows no line break within quotes.
    source = resources.files(__package__).joinpath(file).read_text("utf-8")
    bare = [line.partition("  # ")[0] for line in source.splitlines()]
    lines = [line for line in bare if line.strip() and not line.lstrip().startswith("#")]
    shorter = [" " * ((len(line) - len(line.lstrip())) // 4) + line.lstrip() for line in lines]
    return f"exec({json.dumps(chr(10).join(shorter))})"


def understand(rc: int, stdout: bytes | str, stderr: bytes | str, *, host: str) -> dict[str, Any]:
    """The reply in `stdout`, checked to have the shape of docs/architecture.md.

    A reply counts whatever `rc` says. What a login script printed around it is passed over. Its texts have
    nothing in them that acts on a terminal.

    Raises:
        ProgramMissing: the node does not have the program (install it).
        NoPython, PythonTooOld, UnsafeFolder, CannotStore: as their names say.
        BadReply: anything else; the message quotes the start of what came back.
    """
    out, err = _text(stdout), _text(stderr)
    problem = "the answer is not a reply of the node program"
    if len(out) <= MAX_REPLY:
        for candidate in _candidates(out):
            wrong = _misfit(candidate)
            if wrong is None:
                return candidate
            problem = f"the reply of the node program is malformed ({wrong})"
    else:
        problem = f"the answer is longer than {MAX_REPLY >> 20} MiB"
    raise _refusal(rc, err, host) or _bad_reply(rc, out, err, host, problem)


def _text(raw: bytes | str) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw


def _candidates(out: str) -> list[dict[str, Any]]:
    lines = [line for line in reversed(out.splitlines()) if line.lstrip().startswith("{") or _REPLY in line]
    # What a login script printed may end without a line end.
    texts = [out, *lines, *(line[line.rindex(_REPLY) :] for line in lines if _REPLY in line[1:])]
    found = []
    for text in texts[:20]:
        if shape.too_much(text):
            continue
        try:
            value = json.loads(text)
            if isinstance(value, dict) and "protocol" in value:
                found.append(shape.harmless(value))
        except (ValueError, RecursionError):
            continue
    return found


def _misfit(reply: dict[str, Any]) -> str | None:
    if reply["protocol"] != PROTOCOL:
        return f"protocol {excerpt(str(reply['protocol']), 20)}, not {PROTOCOL}"
    for key, kind in _SHAPE.items():
        if key not in reply:
            return f"no {key!r}"
        if not isinstance(reply[key], kind):
            return f"{key!r} is of the wrong type"
    if not all(isinstance(step, dict) for key in ("steps", "planned") for step in reply[key]):
        return "a step is not an object"
    return _misfit_of_states(reply)


def _misfit_of_states(reply: dict[str, Any]) -> str | None:
    for key in ("before", "after"):
        state = reply[key]
        gpus = state.get("gpus") if state else []
        if not isinstance(gpus, list) or not all(isinstance(gpu, dict) for gpu in gpus):
            return f"{key!r} is not a state"
    error = reply["error"]
    if error is not None and not all(isinstance(error.get(key), str) for key in ("code", "message")):
        return "'error' has no code and message"
    return shape.misfit(reply)


def _refusal(rc: int, err: str, host: str) -> NodeError | None:
    said = [line[len(_MARK) :] for line in err.splitlines() if line.startswith(_MARK)]
    detail = excerpt(said[-1], 300) if said else ""
    build = _REFUSALS.get(rc)
    return build(detail, host) if build and said else None


def _too_old(detail: str, host: str) -> NodeError:
    version, _, path = detail.partition(" ")
    return PythonTooOld(
        f"the node's Python is {version} ({path}); 3.8 or newer is needed; nothing was changed.",
        host=host,
        next="install a newer Python beside it and name it (python=..., ansible_python_interpreter).",
    )


def _unsafe(detail: str, host: str) -> NodeError:
    return UnsafeFolder(
        f"the node program is not run from a folder that others can change: {detail}; nothing was changed.",
        host=host,
        next="look at what is in it, then take from others the right to write there (chmod go-w), or remove it.",
    )


def _cannot_store(detail: str, host: str) -> NodeError:
    return CannotStore(
        f"the node program cannot be stored or read on the node: {detail}; nothing was changed.",
        host=host,
        next="make ~/.cache of the user that migprov runs as there writable, with a few hundred kB free.",
    )


def _bad_transfer(detail: str, host: str) -> NodeError:
    error = BadReply(
        f"the node program did not arrive whole: {detail}; nothing was changed.",
        host=host,
        next="run again; if it stays, something between here and the node alters what is sent.",
    )
    error.outcome_unknown = False
    return error


def _no_python(detail: str, host: str) -> NodeError:
    return NoPython(
        f"no Python was found on the node (tried {detail}); nothing was changed.",
        host=host,
        next="install Python 3.8 or newer, or name its interpreter (python=..., ansible_python_interpreter).",
    )


_REFUSALS: dict[int, Callable[[str, str], NodeError]] = {
    NOT_THERE: lambda detail, host: ProgramMissing("the node program is not there.", host=host),
    NO_PYTHON: _no_python,
    PYTHON_TOO_OLD: _too_old,
    UNSAFE_FOLDER: _unsafe,
    CANNOT_STORE: _cannot_store,
    BAD_TRANSFER: _bad_transfer,
}


def _bad_reply(rc: int, out: str, err: str, host: str, problem: str) -> BadReply:
    heard = [f"{name}: {excerpt(text)!r}" for name, text in (("stdout", out), ("stderr", err)) if text.strip()]
    return BadReply(
        f"{problem}; exit status {rc}; {'; '.join(heard) or 'no output'}.",
        host=host,
        next="what was changed is not known: read the node with 'migprov info', then run again.",
    )


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def excerpt(text: str, limit: int = 200) -> str:
    """The start of `text` on one line, without control characters, fit for a message.

    Terminal escapes lose their escape character, so they cannot act.
    """
    cut = _CONTROL.sub(" ", text[: limit * 4]).strip()
    return cut if len(cut) <= limit else f"{cut[:limit]}..."
