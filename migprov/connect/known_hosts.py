"""Host keys: which are known for a server, and is the one it showed among them.

Own reading of the files, because paramiko's knows neither wildcards nor `@revoked`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path

from ..errors import HostKeyChanged, HostKeyUnknown


@dataclass(frozen=True)
class KnownKey:
    """One line of a known_hosts file. `where` is `file:line`."""

    hosts: str
    kind: str
    blob: bytes
    revoked: bool
    where: str

    def names(self, host: str) -> bool:
        """True when this line is about `host`, which is a name in lower case or `[name]:port`."""
        if self.hosts.startswith("|1|"):
            return _is_hash_of(self.hosts, host)
        patterns = self.hosts.lower().split(",")
        if any(fnmatchcase(host, _plain(p[1:])) for p in patterns if p.startswith("!")):
            return False
        return any(fnmatchcase(host, _plain(p)) for p in patterns if not p.startswith("!"))


def _plain(pattern: str) -> str:
    # In known_hosts only * and ? are special; [host]:port is not a set of characters.
    return pattern.replace("[", "[[]")


def _is_hash_of(field: str, host: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in field.split("|")[2:4])
    except (ValueError, binascii.Error):
        return False
    # SHA-1 is what the format of OpenSSH's HashKnownHosts prescribes.
    return hmac.compare_digest(hmac.digest(salt, host.encode(), "sha1"), digest)


@dataclass(frozen=True)
class KnownHosts:
    """The known keys of one server: `known_as` on `port`, looked up in `files`; `alias`: by that name alone."""

    files: tuple[str, ...]
    known_as: str
    port: int
    alias: bool = False

    @property
    def name(self) -> str:
        """How known_hosts writes the server: `host`, or `[host]:port` off the standard port; an alias as it is."""
        return self.known_as if self.alias or self.port == 22 else f"[{self.known_as}]:{self.port}"

    def keys(self) -> list[KnownKey]:
        """The lines about this server, as they were when they were first asked for."""
        return self._own

    @cached_property
    def _own(self) -> list[KnownKey]:
        return [key for file in self.files for key in _load(file).about(self.name)]

    @cached_property
    def _portless(self) -> list[KnownKey]:
        # As OpenSSH: where no line has the port, one for the standard port may vouch for the key, not against.
        if self.name == self.known_as or self._own:
            return []
        return [key for file in self.files for key in _load(file).about(self.known_as)]

    def kinds(self) -> list[str]:
        """The kinds of the keys known, in the order of the files."""
        return list(dict.fromkeys(key.kind for key in self.keys() + self._portless if not key.revoked))

    def check(self, kind: str, blob: bytes, *, host: str) -> None:
        """Accept the key that the server showed, or say what is wrong. `host` names the node in errors.

        Raises:
            HostKeyUnknown: no line is about this server.
            HostKeyChanged: there are lines, with other keys, or this key is revoked.
        """
        known = self.keys()
        same = [key for key in known + self._portless if key.blob == blob]
        if any(key.revoked for key in same):
            raise HostKeyChanged(
                f"its host key is revoked ({same[0].where}); not connected.",
                host=host,
                next="give the node a new host key.",
            )
        if same:
            return
        shown = f"{kind} {fingerprint(blob)}"
        others = [key for key in known if not key.revoked]
        if others:
            raise self._changed(shown, others[0], host)
        raise self._unknown(shown, host)

    def _changed(self, shown: str, other: KnownKey, host: str) -> HostKeyChanged:
        file = other.where.rpartition(":")[0]
        return HostKeyChanged(
            f"the host key of {self.name} is {shown}, but {other.where} says {other.kind} "
            f"{fingerprint(other.blob)}; not connected.",
            host=host,
            next=f"if the node was reinstalled, ssh-keygen -R '{self.name}' -f {file} and add its new key; "
            "if not, something else answers at its address.",
        )

    def _unknown(self, shown: str, host: str) -> HostKeyUnknown:
        port = f"-p {self.port} " if self.port != 22 else ""
        file = self.files[0] if self.files else "~/.ssh/known_hosts"
        return HostKeyUnknown(
            f"the host key of {self.name} ({shown}) is not in {', '.join(self.files) or 'any file'}; not connected.",
            host=host,
            next="compare it with 'ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub' on the node, then "
            + (
                f"add it to {file} by the name {self.name} (HostKeyAlias)"
                if self.alias
                else f"ssh-keyscan {port}{self.known_as} >> {file}"
            ),
        )


def fingerprint(blob: bytes) -> str:
    """The key's SHA-256 as OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class _Lines:
    """The lines of one file. Most name their hosts plainly, and those are looked up, not gone through.

    A fleet's file has a line for each node, and each node is looked up in it.
    """

    def __init__(self, keys: Iterable[KnownKey]) -> None:
        self._plain: dict[str, list[tuple[int, KnownKey]]] = {}
        self._others: list[tuple[int, KnownKey]] = []
        for number, key in enumerate(keys):
            if set(key.hosts) & set("|*?!"):
                self._others.append((number, key))
            else:
                for name in set(key.hosts.lower().split(",")):
                    self._plain.setdefault(name, []).append((number, key))

    def about(self, host: str) -> list[KnownKey]:
        """The lines about `host`, in the order of the file."""
        others = [one for one in self._others if one[1].names(host)]
        return [key for _, key in sorted([*self._plain.get(host, ()), *others], key=lambda one: one[0])]


def _load(file: str) -> _Lines:
    try:
        stamp = Path(file).stat()
    except OSError:
        return _Lines(())
    return _parsed(file, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=32)
def _parsed(file: str, mtime: int, size: int) -> _Lines:
    # `mtime` and `size` are part of the key alone: a file that changed is read again.
    try:
        lines = Path(file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return _Lines(())
    found = (_line(text, f"{file}:{number}") for number, text in enumerate(lines, 1))
    return _Lines(key for key in found if key is not None)


def _line(text: str, where: str) -> KnownKey | None:
    words = text.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    # Host certificates are not looked at: paramiko cannot check them.
    if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked"):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (ValueError, binascii.Error):
        return None
    return KnownKey(words[0], words[1], blob, marker == "@revoked", where)
