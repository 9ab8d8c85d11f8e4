"""The private keys to log in with: those named, the agent's, OpenSSH's default files."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import paramiko

from .ssh_config import Endpoint


@dataclass
class Keys:
    """The keys for one login, in the order to try; `notes` says why files were passed over."""

    endpoint: Endpoint
    passphrase: Callable[[str], str | None] | None = None
    notes: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """Each key with what to call it. A server counts failed tries, so named keys come first."""
        agent = _agent_keys()
        offered: set[bytes] = set()
        files = [_KeyFile(Path(name)) for name in self.endpoint.key_files]
        ordered: list[tuple[str, Callable[[], paramiko.PKey | None]]] = []
        of_agent = [(f"agent key {key.fingerprint}", _constant(key)) for key in agent.values()]
        of_files = [(str(file.path), self._loader(file, agent)) for file in files]
        if self.endpoint.identities_only:
            ordered = of_files
        elif self.endpoint.keys_are_named:
            ordered = of_files + of_agent
        else:
            ordered = of_agent + of_files
        for label, load in ordered:
            key = load()
            if key is not None and key.asbytes() not in offered:
                offered.add(key.asbytes())
                yield label, key

    def _loader(self, file: _KeyFile, agent: dict[bytes, paramiko.PKey]) -> Callable[[], paramiko.PKey | None]:
        return lambda: self._load(file, agent)

    def _load(self, file: _KeyFile, agent: dict[bytes, paramiko.PKey]) -> paramiko.PKey | None:
        held = agent.get(file.public() or b"")
        if held is not None:
            return held  # the agent signs for it: no passphrase is needed
        try:
            return _from_path(file.path, None)
        except paramiko.PasswordRequiredException:
            return self._decrypt(file)
        except FileNotFoundError:
            if self.endpoint.keys_are_named:
                self.notes.append(f"{file.path} does not exist")
        except OSError as error:
            self.notes.append(f"{file.path} cannot be read: {error.strerror}")
        except (paramiko.SSHException, ValueError) as error:
            self.notes.append(f"{file.path} cannot be used: {error}")
        return None

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


def _constant(key: paramiko.PKey) -> Callable[[], paramiko.PKey | None]:
    return lambda: key


def _agent_keys() -> dict[bytes, paramiko.PKey]:
    try:
        return {key.asbytes(): key for key in paramiko.Agent().get_keys()}
    except (paramiko.SSHException, OSError):
        return {}  # an agent that does not answer is none


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
        """The public key beside the private one, if there is one."""
        try:
            return base64.b64decode(Path(f"{self.path}.pub").read_text("utf-8").split()[1])
        except (OSError, IndexError, ValueError, binascii.Error):
            return None
