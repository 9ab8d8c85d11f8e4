"""The private keys to log in with: those named, the agent's, OpenSSH's default files."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import paramiko

from .ssh_config import Endpoint

AGENT_S = 5.0
"""Seconds for an agent to say which keys it has. To sign, it may ask a person."""


@dataclass
class Keys:
    """The keys for one login, in the order to try; `notes` says why files, or the agent, were passed over."""

    endpoint: Endpoint
    passphrase: Callable[[str], str | None] | None = None
    notes: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """Each key with what to call it. A server counts failed tries, so named keys come first."""
        offered: set[bytes] = set()
        for label, key in self._ordered():
            if key is not None and key.asbytes() not in offered:
                offered.add(key.asbytes())
                yield label, key

    def _ordered(self) -> Iterator[tuple[str, paramiko.PKey | None]]:
        of_files = ((name, self._load(_KeyFile(Path(name)))) for name in self.endpoint.key_files)
        if self.endpoint.identities_only or self.endpoint.keys_are_named:
            yield from of_files
        if not self.endpoint.identities_only:
            yield from ((f"agent key {key.fingerprint}", key) for key in self._of_agent.values())
            yield from of_files  # what is left of them

    @cached_property
    def _of_agent(self) -> dict[bytes, paramiko.PKey]:
        """The agent's keys, asked for when one is wanted."""
        try:
            return {key.asbytes(): key for key in _Agent().get_keys()}
        except TimeoutError:
            self.notes.append(f"the ssh-agent {os.environ.get('SSH_AUTH_SOCK')} does not answer")
        except (paramiko.SSHException, OSError, ValueError) as error:
            self.notes.append(f"the ssh-agent cannot be used: {error}")
        return {}

    def _load(self, file: _KeyFile) -> paramiko.PKey | None:
        note, encrypted = None, False
        try:
            return _from_path(file.path, None)
        except paramiko.PasswordRequiredException:
            encrypted = True
        except FileNotFoundError:
            if self.endpoint.keys_are_named:
                note = f"{file.path} does not exist"
        except OSError as error:
            note = f"{file.path} cannot be read: {error.strerror}"
        except (paramiko.SSHException, ValueError) as error:
            note = f"{file.path} cannot be used: {error}"
        public = file.public()
        held = self._of_agent.get(public) if public else None
        if held is not None:
            return held  # the agent signs for it: no passphrase is needed, and not even the file
        if note:
            self.notes.append(note)
        return self._decrypt(file) if encrypted else None

    def _decrypt(self, file: _KeyFile) -> paramiko.PKey | None:
        words = self.passphrase(str(file.path)) if self.passphrase else None
        if words is None:
            self.notes.append(f"{file.path} is encrypted (ssh-add it, or give a passphrase)")
            return None
        try:
            return _from_path(file.path, words)
        except (paramiko.SSHException, ValueError, OSError):
            self.notes.append(f"{file.path} cannot be decrypted with the passphrase given")
            return None


class _Agent(paramiko.Agent):
    """paramiko's, which would wait for ever for an agent that does not say which keys it has."""

    def _connect(self, conn: socket.socket) -> None:
        conn.settimeout(AGENT_S)
        super()._connect(conn)  # type: ignore[misc]
        conn.settimeout(None)


def _from_path(path: Path, passphrase: str | None) -> paramiko.PKey:
    if passphrase is not None:
        return _read(path, passphrase)
    status = path.stat()
    return _unencrypted(path, (status.st_ino, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=16)
def _unencrypted(path: Path, stamp: tuple[int, int, int]) -> paramiko.PKey:
    # One key is for all nodes of a run. `stamp` is part of the key alone: a file that changed is read again.
    return _read(path, None)


def _read(path: Path, passphrase: str | None) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path, passphrase.encode() if passphrase is not None else None)  # type: ignore[arg-type]
    except TypeError as error:
        # cryptography's word for "encrypted, and no passphrase given".
        raise paramiko.PasswordRequiredException(str(error)) from error
    except paramiko.pkey.UnknownKeyType as error:
        raise paramiko.SSHException("keys of this type are not supported") from error


@dataclass(frozen=True)
class _KeyFile:
    path: Path

    def public(self) -> bytes | None:
        """The public key beside the private one; or the file itself, which may be one. None where there is none."""
        for path in (Path(f"{self.path}.pub"), self.path):
            with suppress(OSError, IndexError, ValueError):  # binascii.Error is a ValueError
                return base64.b64decode(path.read_text("utf-8").split()[1], validate=True)
        return None
