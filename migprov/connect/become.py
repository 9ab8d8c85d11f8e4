"""Becoming another user on the node through sudo, and what sudo says when it refuses. Pure: no I/O."""

from __future__ import annotations

import re
import shlex

from ..errors import SudoRefused
from .command import excerpt
from .target import Target

# Words of sudo and of sudo-rs.
_ASKS = re.compile(
    r"password is required|interactive authentication is required|terminal is required|no tty present|askpass"
)
_WANTS_TERMINAL = re.compile(r"must have a tty")
_FORBIDS = re.compile(
    r"not in the sudoers|may not run sudo|not allowed to execute|not allowed to run sudo|I'm afraid I can't do that"
)
_WARNS = re.compile(r"^sudo(-rs)?: unable to resolve host ")


def as_user(command: str, target: Target) -> str:
    """`command` (POSIX sh) as a line that any login shell runs with sh, as `become_user` if that is asked.

    sudo is told to speak English, so that what it says can be understood.
    """
    if target.become:
        sudo = " ".join(shlex.quote(word) for word in shlex.split(target.become_exe) or ["sudo"])
        user = shlex.quote(target.become_user or "root")
        command = f"LC_ALL=C exec {sudo} -n -H -u {user} -- /bin/sh -c {shlex.quote(command)}"
    return f"/bin/sh -c {shlex.quote(command)}"


def refusal(rc: int, stderr: bytes, target: Target) -> SudoRefused | None:
    """The error when sudo refused, None when what happened was not sudo's doing."""
    if not target.become:
        return None
    said = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    text = " ".join(said)
    exe, user = target.become_exe, target.become_user or "root"
    if rc in (126, 127) and exe in text:
        what, next_ = f"{exe} is not installed", "install sudo on the node, or log in as the user itself."
    elif _ASKS.search(text):
        what = f"{exe} asks for a password to become {user}"
        next_ = "allow it without one on the node (NOPASSWD in sudoers), or log in as the user itself."
    elif _WANTS_TERMINAL.search(text):
        what, next_ = f"{exe} wants a terminal", "allow it without one on the node: 'Defaults !requiretty' in sudoers."
    elif _FORBIDS.search(text):
        what = f"{exe} does not allow this user to become {user}"
        next_ = "add the user to sudoers on the node (NOPASSWD), or log in as the user itself."
    elif rc == 1 and _only_sudo(said):
        what, next_ = f"{exe} refused", "see what sudo says, on the node: sudo -n -l"
    else:
        return None
    return SudoRefused(f"{what}: {excerpt(text)!r}; nothing was changed.", host=target.name, next=next_)


def _only_sudo(said: list[str]) -> bool:
    """Whether all of it is sudo's, and more than a warning: then what was to be run was not."""
    complaints = [line for line in said if not _WARNS.match(line)]
    return bool(complaints) and all(line.startswith(("sudo: ", "sudo-rs: ")) for line in complaints)
