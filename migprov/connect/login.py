"""One SSH handshake and login over a stream that is already there."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import Any, ClassVar

import paramiko

from ..errors import AuthFailed, Unreachable
from .command import excerpt
from .keys import Keys
from .known_hosts import KnownHosts
from .ssh_config import Endpoint
from .target import Target

KEEPALIVE_S = 15
# Without a handler of its own, what paramiko logs ends on the caller's standard error, tracebacks too.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def _with_standard_name(exchanges: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, exchange in exchanges.items():
        named[name] = exchange
        if name == "curve25519-sha256@libssh.org":
            named["curve25519-sha256"] = exchange
    return named


class TurnedAway(Unreachable):
    """The server closed the connection before it said a word: it is no SSH server, or has too many logins under way."""


class _Transport(paramiko.Transport):
    """paramiko's transport, offering curve25519-sha256 by the name of RFC 8731 as well.

    paramiko knows only the older name of the very same exchange, and servers that allow just the standard
    one would turn it away. (Not its ServiceRequestingTransport: that sleeps 0.1 s in each login, and for
    ever when the server goes away just then.)
    """

    _paramiko: ClassVar[Any] = paramiko.Transport  # its type stubs leave these out
    _kex_info = _with_standard_name(_paramiko._kex_info)
    _preferred_kex = tuple(_with_standard_name(dict.fromkeys(_paramiko._preferred_kex)))


def log_in(stream: socket.socket | paramiko.Channel, endpoint: Endpoint, target: Target) -> paramiko.Transport:
    """A logged-in transport to `endpoint`. `stream` is closed when that fails.

    Raises:
        Unreachable: what answers does not speak SSH, or not in time, or in no way that paramiko knows.
        HostKeyUnknown, HostKeyChanged: the host key is not the one known.
        AuthFailed: no key is accepted.
    """
    try:
        transport: paramiko.Transport = _Transport(stream)
    except (paramiko.SSHException, OSError) as error:
        stream.close()
        raise _no_handshake(error, endpoint, target) from error
    try:
        transport.banner_timeout = target.connect_timeout
        transport.auth_timeout = target.connect_timeout
        known = KnownHosts(endpoint.known_hosts, endpoint.known_as, endpoint.port, endpoint.is_alias)
        _prefer(transport, known.kinds())
        try:
            transport.start_client(timeout=target.connect_timeout)
            # When the time is over, start_client returns as if all were well.
            key = transport.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise _no_handshake(error, endpoint, target) from error
        known.check(key.get_name(), key.asbytes(), host=target.name)
        _authenticate(transport, endpoint, target)
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException:
        transport.close()
        raise
    return transport


def _prefer(transport: paramiko.Transport, kinds: list[str]) -> None:
    # A server with several host keys shows the one whose kind the client names first: name the known ones.
    options = transport.get_security_options()
    names = [name for kind in kinds for name in _algorithms(kind) if name in options.key_types]
    options.key_types = tuple(dict.fromkeys([*names, *options.key_types]))


def _algorithms(kind: str) -> tuple[str, ...]:
    # One RSA key signs with several algorithms; only the key's kind is written in known_hosts.
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _no_handshake(error: Exception, endpoint: Endpoint, target: Target) -> Unreachable:
    said = excerpt(str(error)) or "it closed the connection"
    kind, next_ = Unreachable, f"try: ssh -v -p {endpoint.port} {endpoint.user}@{endpoint.host}"
    before_greeting = said.startswith("Error reading SSH protocol banner")
    if said == "No existing session" or (before_greeting and isinstance(error.__context__, TimeoutError)):
        said = f"no SSH greeting within {target.connect_timeout:g} s"
    elif before_greeting:
        kind, said = TurnedAway, "it closed the connection before any greeting"
        next_ += " (a server with too many logins under way does so, too: MaxStartups in its sshd_config)"
    return kind(
        f"{endpoint.host} port {endpoint.port} answers, but no SSH session came about: {said}; nothing was changed.",
        host=target.name,
        next=next_,
    )


def _authenticate(transport: paramiko.Transport, endpoint: Endpoint, target: Target) -> None:
    keys = Keys(endpoint, target.passphrase)
    tried: list[str] = []
    for label, key in keys:
        try:
            left = transport.auth_publickey(endpoint.user, key)
        except paramiko.BadAuthenticationType as error:
            allowed = ", ".join(error.allowed_types)
            raise _refused(f"it takes no keys, only {allowed}", endpoint, target, keys) from error
        except paramiko.AuthenticationException as error:
            if "timeout" in str(error).lower():  # paramiko has no type of its own for it
                raise _silent(endpoint, target) from error
            tried.append(label)
            if not transport.is_active():
                break  # too many tries
            continue
        except (paramiko.SSHException, EOFError, OSError) as error:
            tried.append(f"{label} ({excerpt(str(error)) or 'the connection was closed'})")
            break
        if not left:
            return
        raise _refused(f"after the key it also wants {', '.join(left)}", endpoint, target, keys)
    what = f"none of these keys is accepted: {', '.join(tried)}" if tried else "there is no key to offer"
    raise _refused(what, endpoint, target, keys)


def _silent(endpoint: Endpoint, target: Target) -> Unreachable:
    return Unreachable(
        f"{endpoint.host} port {endpoint.port} did not answer the login within {target.connect_timeout:g} s; "
        "nothing was changed.",
        host=target.name,
        next="see why logins hang there (load, a directory service, PAM).",
    )


def _refused(what: str, endpoint: Endpoint, target: Target, keys: Keys) -> AuthFailed:
    notes = f" ({'; '.join(keys.notes)})" if keys.notes else ""
    return AuthFailed(
        f"login as {endpoint} refused: {what}{notes}; nothing was changed.",
        host=target.name,
        next="check the user name, and that one of your keys is in that user's authorized_keys on the node.",
    )
