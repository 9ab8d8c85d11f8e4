"""One node, as the caller names it: where it is and how to get in. `ssh_config.resolve` fills in the rest."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from ..errors import BadRequest

CONNECT_TIMEOUT = 10.0
"""Seconds for each of: the TCP connection, the SSH handshake, the login."""
CALL_TIMEOUT = 900.0
"""Seconds for one task on one node; resets of eight GPUs take minutes."""

_SAFE = re.compile(r"[A-Za-z0-9_.:%\[\]@+~-]+")


@dataclass(frozen=True)
class Target:
    """Where a node is and how to get in. None means: what `~/.ssh/config` says, else OpenSSH's default.

    `name` is what the node is called in results; `host` is what is connected to. `key_files` are tried
    before the agent's keys. `known_hosts` replaces the default files. `proxy_jump` is a list like that of
    `ssh -J`; "none" switches one off that the configuration has; `proxy_command` likewise.
    `become` runs the program as `become_user` (None: root) through sudo without a password.
    `python` is the interpreter on the node. `connect_timeout` and `timeout` are in seconds.
    `ssh_config` replaces `~/.ssh/config` and `/etc/ssh/ssh_config`; "none": neither.
    `passphrase` is asked, with the file's path, for the passphrase of an encrypted key file.

    Raises:
        BadRequest: a field cannot be what it is.
    """

    host: str
    _: KW_ONLY
    name: str = ""
    port: int | None = None
    user: str | None = None
    key_files: tuple[str, ...] = ()
    known_hosts: str | None = None
    proxy_jump: str | None = None
    proxy_command: str | None = None
    become: bool = False
    become_user: str | None = None
    become_exe: str = "sudo"
    python: str | None = None
    connect_timeout: float = CONNECT_TIMEOUT
    timeout: float = CALL_TIMEOUT
    connection: Literal["ssh", "local"] = "ssh"
    ssh_config: str | None = None
    passphrase: Callable[[str], str | None] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.host)
        object.__setattr__(self, "key_files", tuple(self.key_files))
        if self.connection not in ("ssh", "local"):
            raise BadRequest(f"{self.name}: connection {self.connection!r} is neither 'ssh' nor 'local'.")
        check_word("host", self.host)
        if self.user is not None:
            check_word("user", self.user)
        if self.become_user is not None:
            check_word("become_user", self.become_user)
        try:
            shlex.split(self.become_exe)
        except ValueError as error:
            raise BadRequest(f"{self.name}: become_exe {self.become_exe!r} is no command line: {error}.") from error
        if self.port is not None and not 0 < self.port < 65536:
            raise BadRequest(f"{self.name}: port {self.port} is not between 1 and 65535.")
        if min(self.connect_timeout, self.timeout) <= 0:
            raise BadRequest(f"{self.name}: a time limit must be longer than 0 seconds.")


def check_word(what: str, value: str) -> str:
    """`value`, if it is fit to stand in a command line as a host or user name.

    Raises:
        BadRequest: it is empty, starts with a dash or has characters no such name has.
    """
    if not _SAFE.fullmatch(value) or value.startswith("-"):
        raise BadRequest(f"{what} {value!r} is not a valid name.")
    return value
