"""Stopping and starting systemd services."""

from __future__ import annotations

from .errors import ServiceFailed

_LIMIT_S = 120.0


def stop(unit: str) -> None:
    """Stop a unit; raises ServiceFailed with what systemctl answered."""
    _systemctl("stop", unit)


def start(unit: str, wait: bool = True) -> None:
    """Start a unit; raises ServiceFailed with what systemctl answered.

    Without ``wait`` systemd is only told to: at boot a unit that is ordered after this run would wait for it in turn.
    """
    _systemctl("start", unit, *(() if wait else ("--no-block",)))


def is_active(unit: str) -> bool:
    """Whether the unit runs; False also where there is no systemd."""
    try:
        _systemctl("is-active", unit)
    except ServiceFailed:
        return False
    return True


def _systemctl(verb: str, unit: str, *options: str) -> None:
    import subprocess  # few requests have to do with services

    try:
        done = subprocess.run(
            ["systemctl", verb, *options, "--", unit],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceFailed(
            "systemctl %s %s: %s" % (verb, unit, error), next="look at the unit with systemctl status %s" % unit
        ) from None
    if done.returncode != 0:
        answer = " ".join(done.stdout.decode("utf-8", "replace").split())[:300]
        raise ServiceFailed(
            "systemctl %s %s answered %d: %s" % (verb, unit, done.returncode, answer or "nothing"),
            next="look at the unit with systemctl status %s" % unit,
        )
