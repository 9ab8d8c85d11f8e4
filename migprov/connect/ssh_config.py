"""Turns a `Target` and OpenSSH's client configuration into an `Endpoint`: all that a connection needs."""

from __future__ import annotations

import getpass
import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import paramiko

from ..errors import BadRequest
from .target import Target, check_word

_DEFAULT_CONFIGS = ("~/.ssh/config", "/etc/ssh/ssh_config")
_DEFAULT_KNOWN = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_DEFAULT_GLOBAL_KNOWN = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_MOST_JUMPS = 8
_MOST_INCLUDES = 16  # the depth at which OpenSSH gives up, too
_PERCENT = "\x01"
_PROXY = re.compile("proxycommand", re.IGNORECASE)
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?/?")


@dataclass(frozen=True)
class Endpoint:
    """One SSH server: its address, who to be there, which keys, and the way there (`jumps`, nearest first)."""

    host: str
    port: int
    user: str
    key_files: tuple[str, ...]
    keys_are_named: bool
    identities_only: bool
    known_hosts: tuple[str, ...]
    known_as: str
    is_alias: bool = False
    proxy_command: str | None = None
    jumps: tuple[Endpoint, ...] = ()

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f" port {self.port}" if self.port != 22 else "")


def resolve(target: Target) -> Endpoint:
    """The endpoint of `target`; what the target says wins over the configuration.

    Raises:
        BadRequest: the configuration cannot be read, its jump hosts go in a circle, or this user has no name or home.
    """
    try:
        # Its files lie in the home folder, and it may ask for the name, whatever the target says.
        getpass.getuser()
        Path.home()
    except (KeyError, OSError, RuntimeError):
        raise BadRequest(
            f"{target.name}: this machine knows no name, or no home folder, of the user {os.getuid()} that runs this.",
            next="set USER and HOME in the environment.",
        ) from None
    return _resolve(target, depth=0)


def _resolve(target: Target, depth: int) -> Endpoint:
    if depth > _MOST_JUMPS:
        raise BadRequest(f"{target.name}: the jump hosts of the SSH configuration go in a circle.")
    config = _lookup(target)
    host = check_word("host", str(config.get("hostname") or target.host))
    named = target.key_files or tuple(f for f in config.get("identityfile", ()) if f.lower() != "none")
    # A target's own way there, of either kind, puts aside both kinds of the configuration.
    of_config = config if target.proxy_jump is None and target.proxy_command is None else {}
    jump = target.proxy_jump or of_config.get("proxyjump")
    command = target.proxy_command or of_config.get("proxycommand")
    return Endpoint(
        host=host,
        port=target.port or _port(config, target),
        user=target.user or config.get("user") or getpass.getuser(),
        key_files=tuple(str(Path(f).expanduser()) for f in named or _DEFAULT_KEYS),
        keys_are_named=bool(named),
        identities_only=str(config.get("identitiesonly", "no")).lower() == "yes",
        known_hosts=_known_hosts(target, config),
        known_as=str(config.get("hostkeyalias") or host).lower(),
        is_alias=bool(config.get("hostkeyalias")),
        proxy_command=None if jump or _is_none(command) else str(command).replace(_PERCENT, "%"),
        jumps=() if _is_none(jump) else tuple(_jumps(str(jump), target, depth)),
    )


def _is_none(value: str | None) -> bool:
    return value is None or value.lower() == "none"


def _port(config: Mapping[str, Any], target: Target) -> int:
    try:
        return int(config.get("port", 22))
    except ValueError:
        raise BadRequest(f"{target.name}: the SSH configuration gives no valid port.") from None


def _known_hosts(target: Target, config: Mapping[str, Any]) -> tuple[str, ...]:
    if target.known_hosts is not None:
        return (str(Path(target.known_hosts).expanduser()),)
    user = str(config.get("userknownhostsfile") or "").split() or list(_DEFAULT_KNOWN)
    everyone = str(config.get("globalknownhostsfile") or "").split() or list(_DEFAULT_GLOBAL_KNOWN)
    return tuple(str(Path(f).expanduser()) for f in (*user, *everyone) if f.lower() != "none")


def _jumps(text: str, target: Target, depth: int) -> Iterator[Endpoint]:
    for position, hop in enumerate(text.split(",")):
        match = _JUMP.fullmatch(hop.strip())
        if match is None:
            raise BadRequest(f"{target.name}: {hop.strip()!r} is not a jump host ([user@]host[:port]).")
        endpoint = _resolve(
            Target(
                match["host"].strip("[]"),
                user=match["user"],
                port=int(match["port"]) if match["port"] else None,
                # As with ssh -J, only the first hop may have jump hosts of its own configuration.
                proxy_jump=None if position == 0 else "none",
                key_files=target.key_files,
                known_hosts=target.known_hosts,
                ssh_config=target.ssh_config,
            ),
            depth + 1,
        )
        yield from endpoint.jumps
        yield _without_jumps(endpoint)


def _without_jumps(endpoint: Endpoint) -> Endpoint:
    return Endpoint(**{**endpoint.__dict__, "jumps": ()})


def _lookup(target: Target) -> Mapping[str, Any]:
    if target.ssh_config is not None and target.ssh_config.lower() == "none":
        return {}
    files = _DEFAULT_CONFIGS if target.ssh_config is None else (target.ssh_config,)
    paths = tuple(Path(f).expanduser() for f in files)
    if target.ssh_config is not None and not paths[0].is_file():
        raise BadRequest(f"{target.name}: there is no SSH configuration {paths[0]}.")
    stamps = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)
    try:
        return dict(_parsed(paths, stamps).lookup(target.host))
    except (paramiko.SSHException, ImportError, OSError, ValueError) as error:
        shown = " and ".join(str(path) for path in paths)
        raise BadRequest(f"{target.name}: the SSH configuration ({shown}) cannot be used: {error}.") from error


@lru_cache(maxsize=8)
def _parsed(paths: tuple[Path, ...], stamps: tuple[int, ...]) -> paramiko.SSHConfig:
    # `stamps` is part of the key alone: a file that changed is read again. The first value found wins, so
    # one text with the user's file first gives OpenSSH's order; "Host *" ends the block of the file before.
    texts = [_read(path, 0) for path, stamp in zip(paths, stamps, strict=True) if stamp]
    return paramiko.SSHConfig.from_text("\nHost *\n".join(texts))


def _read(path: Path, depth: int) -> str:
    # paramiko passes over Include, so files are put in where they are named.
    if depth > _MOST_INCLUDES:
        raise ValueError(f"Include goes too deep in {path}")
    lines = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        words = line.strip().split()
        if words and words[0].lower() == "include":
            lines += [_read(found, depth + 1) for word in words[1:] for found in _included(word, path)]
        else:
            # paramiko would fill in ProxyCommand's %h, %p and %r from the configuration alone, unquoted.
            lines.append(line.replace("%", _PERCENT) if words[:1] and _PROXY.match(words[0]) else line)
    return "\n".join(lines)


def _included(pattern: str, within: Path) -> list[Path]:
    base = Path("/etc/ssh") if within.is_relative_to("/etc") else Path("~/.ssh").expanduser()
    full = base / Path(pattern.strip('"')).expanduser()
    return [Path(found) for found in sorted(glob.glob(str(full)))]
