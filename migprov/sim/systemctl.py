#!/usr/bin/env -S python3 -I -S
"""Stand-in for systemctl on a simulated node: start, stop, restart, is-active, status, show, list-units.

It stands alone in its node's `bin` and needs nothing but a Python 3. Each running service has a supervisor, which is
this file too: it starts the service's process, starts it again when it ends and the unit says so, and holds the lock
`run/UNIT.lock` for as long as the unit is active. Units lie in `units/` as JSON (see `migprov/sim/services.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VERBS = ("start", "stop", "restart", "is-active", "status", "show", "list-units")
OK, FAILED, NOT_ACTIVE, NO_PERMISSION, NO_UNIT = 0, 1, 3, 4, 5
SUFFIXES = (".service", ".socket", ".target", ".timer", ".scope", ".mount")
PR_SET_CHILD_SUBREAPER = 36
ROW = "  {:<32} {:<6} {:<8} {:<8} {}"


class Failure(Exception):
    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def path(folder: str, name: str) -> str:
    return os.path.join(HERE, folder, name)


def load(unit: str) -> dict[str, Any] | None:
    """The unit as it was declared, or None when there is none of that name."""
    if "/" in unit or unit.startswith("."):
        return None
    try:
        with open(path("units", unit + ".json")) as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return None


def lock(unit: str, wait: bool) -> int | None:
    """The unit's lock, which only the supervisor of an active unit keeps; None when another has it."""
    descriptor = os.open(path("run", unit + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        os.close(descriptor)
        if error.errno != errno.EWOULDBLOCK:
            raise
        return None
    return descriptor


def state(unit: str) -> dict[str, Any]:
    """ActiveState, SubState, MainPID and Result of a unit, for any user."""
    known = record(unit)
    try:
        # Not flock: another user must not be able to hold the lock, nor to need it.
        active = known.get("supervisor", 0) > 0 and started(known["supervisor"]) == known["since"]
    except KeyError:
        active = False
    if active:
        return {"ActiveState": "active", "SubState": "running", "MainPID": known["main"], "Result": "success"}
    result = known.get("result", "success")
    name = "inactive" if result == "success" else "failed"
    return {"ActiveState": name, "SubState": name.replace("inactive", "dead"), "MainPID": 0, "Result": result}


def record(unit: str) -> dict[str, Any]:
    try:
        with open(path("run", unit + ".json")) as file:
            return dict(json.load(file))
    except (FileNotFoundError, ValueError):
        return {}


def write_record(unit: str, **fields: object) -> None:
    fresh = path("run", f".{unit}.{os.getpid()}")
    with open(fresh, "w") as file:
        json.dump(fields, file)
    os.replace(fresh, path("run", unit + ".json"))


def started(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 when there is none, or only a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


# -- the supervisor ------------------------------------------------------------------------------------------------


class Supervisor:
    """One active service. It ends with the service, or on SIGTERM."""

    def __init__(self, unit: str, settings: dict[str, Any]) -> None:
        self.unit = unit
        self.settings = settings
        self.main = 0

    def run(self) -> int:
        held = lock(self.unit, wait=False)
        if held is None:
            return tell("ok")  # another start was faster
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        refusal = self.begin()
        if refusal:
            write_record(self.unit, result="exit-code", refusal=refusal)
            return tell(refusal)
        tell("ok")
        result = self.watch()
        write_record(self.unit, result=result)
        return OK

    def begin(self) -> str:
        """Start the service's process; the answer is why it did not start, or nothing."""
        done = subprocess.run(
            self.settings["command"],
            executable=path("lib", "migprov-holder"),
            env={
                **self.settings["environment"],
                "MIGPROV_HOLD_STATE": path("", "state"),
                "MIGPROV_HOLD_CGROUP": "0::/system.slice/" + self.unit,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, ()),
        )
        answer, _, pid = done.stdout.decode().strip().partition(" ")
        if answer != "ok":
            return done.stdout.decode().strip() or "the process did not start"
        self.main = int(pid)
        own = os.getpid()
        write_record(self.unit, supervisor=own, since=started(own), main=self.main)
        return ""

    def watch(self) -> str:
        """Wait until the service is over; the answer is its result."""
        while True:
            if signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) == signal.SIGTERM:
                self.end()
                return "success"
            if not self.reap():
                continue
            if not self.settings["restart"]:
                return "signal"
            if signal.sigtimedwait({signal.SIGTERM}, self.settings["restart_s"]):
                return "success"
            if self.begin():
                return "exit-code"

    def reap(self) -> bool:
        """Whether the service's process was among the children that have ended."""
        gone = False
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            gone = gone or pid == self.main
        if gone:
            self.leave_cgroup()
        return gone

    def end(self) -> None:
        """SIGTERM, after the unit's time for stopping SIGKILL, as systemd does."""
        limit = time.monotonic() + self.settings["stop_s"]
        os.kill(self.main, signal.SIGTERM)
        while not self.reap():
            rest = limit - time.monotonic()
            if rest <= 0:
                os.kill(self.main, signal.SIGKILL)
                rest = 60.0
            signal.sigtimedwait({signal.SIGCHLD}, rest)

    def leave_cgroup(self) -> None:
        for name in os.listdir(path("", "cgroup")):
            if name.startswith(f"{self.main}."):
                os.unlink(path("cgroup", name))


def tell(text: str) -> int:
    """To whoever started the unit; then nobody waits for this process any more."""
    with contextlib.suppress(BrokenPipeError):  # --no-block: nobody waited at all
        os.write(1, text.encode() + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    return OK if text == "ok" else FAILED


# -- what people call ----------------------------------------------------------------------------------------------


def start(unit: str, wait: bool = True) -> None:
    settings = wanted(unit, "start")
    if state(unit)["ActiveState"] == "active":
        return
    if settings["fails"] == "start":
        raise job_failed(unit)
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", os.path.abspath(__file__), "--supervise", unit],
        # what marks the processes of a node stays; nothing else of the caller belongs to a service
        env={name: os.environ[name] for name in ("PATH", "MIGPROV_SIM_SESSION") if name in os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    assert child.stdout is not None  # noqa: S101
    if wait and child.stdout.readline().decode().strip() != "ok":
        raise job_failed(unit)


def job_failed(unit: str) -> Failure:
    return Failure(
        f"Job for {unit} failed because the control process exited with error code.\n"
        f'See "systemctl status {unit}" and "journalctl -xeu {unit}" for details.'
    )


def stop(unit: str) -> None:
    settings = wanted(unit, "stop")
    while state(unit)["ActiveState"] == "active":
        if settings["fails"] == "stop":
            raise Failure(f"Failed to stop {unit}: Job for {unit} canceled.")
        known = record(unit)
        if started(known.get("supervisor", 0)) == known.get("since"):
            os.kill(known["supervisor"], signal.SIGTERM)
        free = lock(unit, wait=True)  # once the supervisor has ended
        if free is not None:
            os.close(free)


def wanted(unit: str, verb: str) -> dict[str, Any]:
    """The unit's settings. Raises Failure as systemctl does when there is no such unit, or for another user."""
    settings = load(unit)
    if settings is None:
        text = "not loaded" if verb == "stop" else "not found"
        raise Failure(f"Failed to {verb} {unit}: Unit {unit} {text}.", NO_UNIT)
    owner = os.stat(path("", "state")).st_uid
    if os.geteuid() not in (0, owner):
        raise Failure(f"Failed to {verb} {unit}: Interactive authentication required.", NO_PERMISSION)
    return settings


def is_active(units: list[str], quiet: bool) -> int:
    states = [state(unit)["ActiveState"] if load(unit) else "inactive" for unit in units]
    if not quiet:
        print("\n".join(states))
    return OK if "active" in states else NOT_ACTIVE


def status(unit: str) -> int:
    settings = load(unit)
    if settings is None:
        print(f"Unit {unit} could not be found.", file=sys.stderr)
        return 4
    now = state(unit)
    print("{} {} - {}".format("*" if now["MainPID"] else "-", unit, settings["description"]))
    print("     Loaded: loaded ({}; simulated)".format(path("units", unit + ".json")))
    print("     Active: {} ({})".format(now["ActiveState"], now["SubState"]))
    if now["MainPID"]:
        print(f"   Main PID: {now['MainPID']} ({settings['command'][0]})")
    return OK if now["ActiveState"] == "active" else NOT_ACTIVE


def show(unit: str, properties: str, bare: bool) -> None:
    settings = load(unit)
    rows = {
        "Id": unit,
        "Description": settings["description"] if settings else unit,
        "LoadState": "loaded" if settings else "not-found",
        **state(unit),
        "Restart": "always" if settings and settings["restart"] else "no",
    }
    for name in properties.split(",") if properties else rows:
        if name in rows:
            print(rows[name] if bare else f"{name}={rows[name]}")


def list_units(everything: bool, legend: bool, types: str) -> None:
    rows = []
    folder = path("", "units")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        unit, suffix = os.path.splitext(name)
        if suffix != ".json" or (types and unit.rpartition(".")[2] not in types.split(",")):
            continue
        now = state(unit)
        if everything or now["ActiveState"] != "inactive":
            about = (load(unit) or {}).get("description", "")
            rows.append((unit, "loaded", now["ActiveState"], now["SubState"], about))
    if legend:
        print(ROW.format("UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"))
    for row in rows:
        print(ROW.format(*row))
    if legend:
        print(f"\n{len(rows)} loaded units listed.")


def parse(arguments: list[str]) -> tuple[str, list[str], dict[str, str]]:
    """The verb, the units, and the options by name."""
    options: dict[str, str] = {}
    words = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        name, equals, value = word.partition("=")
        if name in ("-p", "--property", "-t", "--type"):
            if not equals and not rest:
                raise Failure(f"systemctl: option '{name}' requires an argument")
            options[{"-p": "--property", "-t": "--type"}.get(name, name)] = value if equals else rest.pop(0)
        elif name in ("-q", "--quiet", "--value", "--all", "-a", "--no-legend", "--no-pager", "--plain", "--no-block"):
            options[{"-q": "--quiet", "-a": "--all"}.get(name, name)] = ""
        elif word.startswith("-"):
            raise Failure(f"systemctl: unrecognized option '{word}' (this is a simulated one)")
        else:
            words.append(word)
    if not words or words[0] not in VERBS:
        raise Failure("Unknown command verb {}. This simulated systemctl knows {}.".format(words[:1], ", ".join(VERBS)))
    units = [word if word.endswith(SUFFIXES) else word + ".service" for word in words[1:]]
    if not units and words[0] != "list-units":
        raise Failure("Too few arguments.")
    return words[0], units, options


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--supervise"]:
        return Supervisor(arguments[1], load(arguments[1]) or {}).run()
    verb, units, options = parse(arguments)
    if verb == "list-units":
        list_units("--all" in options, "--no-legend" not in options, options.get("--type", ""))
        return OK
    if verb == "is-active":
        return is_active(units, "--quiet" in options)
    code = OK
    for unit in units:
        if verb in ("stop", "restart"):
            stop(unit)
        if verb in ("start", "restart"):
            start(unit, "--no-block" not in options)
        if verb == "status":
            code = status(unit)
        if verb == "show":
            show(unit, options.get("--property", ""), "--value" in options)
    return code


if __name__ == "__main__":
    try:
        status_code = main(sys.argv[1:])
    except Failure as failure:
        print(failure, file=sys.stderr)
        status_code = failure.code
    sys.exit(status_code)
