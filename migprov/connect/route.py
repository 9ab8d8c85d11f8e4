"""The stream to a node's SSH server: a socket, a channel through jump hosts, or a proxy command."""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import IO

import paramiko

from ..errors import Unreachable
from .command import excerpt
from .login import TurnedAway, log_in
from .ssh_config import Endpoint
from .target import Target

LOGINS_AT_ONCE = 8
"""Logins of this process that one server has under way."""
# Milliseconds after which unanswered data means that the peer is gone; the keepalive sends every 15 s.
_UNANSWERED_MS = 60_000


class _PromptSocket(socket.socket):
    """A socket that acknowledges what comes at once.

    sshd sends its small packets one by one and holds each back until the last is acknowledged; the kernel
    puts that off for 40 ms, and forgets that it should not, so it is told anew each time.
    """

    def recv(self, *arguments: int) -> bytes:
        data = super().recv(*arguments)
        with suppress(OSError, AttributeError):  # Linux only
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


_AGAIN_AFTER_S = (0.2, 0.5, 1.0, 2.0)
Stream = socket.socket | paramiko.Channel

_gates: defaultdict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(LOGINS_AT_ONCE))
_gates_lock = threading.Lock()


@dataclass
class Route:
    """What leads to the node, held open as long as the connection. Closing never raises."""

    stack: ExitStack = field(default_factory=ExitStack)
    proxy: Proxy | None = None

    def close(self) -> None:
        with suppress(Exception):
            self.stack.close()


def open_transport(endpoint: Endpoint, target: Target) -> tuple[paramiko.Transport, Route]:
    """A logged-in transport to `endpoint`, by way of its jump hosts or proxy command.

    Raises:
        Unreachable, HostKeyError, AuthFailed: for the node or for one of the jump hosts, naming it.
    """
    route = Route()
    hops = (*endpoint.jumps, endpoint)
    try:
        transport = _enter(hops[0], target, lambda: _first_stream(hops[0], target, route), again=len(hops) > 1)
        for hop, following in pairwise(hops):
            route.stack.callback(transport.close)
            way = partial(_through, transport, hop, following, target)
            transport = _enter(following, target, way, again=following is not endpoint)
    except Unreachable as error:
        said = route.proxy.said() if route.proxy else ""
        route.close()
        if not said:
            raise
        raise Unreachable(
            f"the proxy command failed: {said}; nothing was changed.",
            host=target.name,
            next=f"try it by hand: {route.proxy.command if route.proxy else ''}",
        ) from error
    except BaseException:
        route.close()
        raise
    return transport, route


def _enter(server: Endpoint, target: Target, way: Callable[[], Stream], *, again: bool) -> paramiko.Transport:
    """Log in to one server of the way. `again`: come back when it turns us away, as a busy jump host does."""
    until = time.monotonic() + target.connect_timeout
    with _few_at_once(server, target):
        for pause in _AGAIN_AFTER_S if again else ():
            try:
                return log_in(way(), server, target)
            except TurnedAway:
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
        return log_in(way(), server, target)


@contextmanager
def _few_at_once(server: Endpoint, target: Target) -> Iterator[None]:
    """A jump host is the way to many nodes; OpenSSH's own turns logins away once ten are under way (MaxStartups).

    Who has waited as long as a connection may take goes on all the same: the server is slow, or not there.
    """
    with _gates_lock:
        gate = _gates[server.proxy_command or f"{server.host} {server.port}"]
    entered = gate.acquire(timeout=target.connect_timeout)
    try:
        yield
    finally:
        if entered:
            gate.release()


def _first_stream(endpoint: Endpoint, target: Target, route: Route) -> socket.socket:
    if endpoint.proxy_command is None:
        return _connect(endpoint, target)
    route.proxy = Proxy(_filled_in(endpoint))
    route.stack.callback(route.proxy.close)
    return route.proxy.stream


def _connect(endpoint: Endpoint, target: Target) -> socket.socket:
    try:
        plain = socket.create_connection((endpoint.host, endpoint.port), timeout=target.connect_timeout)
    except (OSError, UnicodeError) as error:
        raise _unreachable(error, endpoint, target) from error
    stream = _PromptSocket(plain.family, plain.type, plain.proto, plain.detach())
    stream.settimeout(target.connect_timeout)
    # Nagle's algorithm and delayed acknowledgements would cost 60 ms a call.
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError, AttributeError):  # Linux only; elsewhere the system's own limit holds
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)
    return stream


def _unreachable(error: Exception, endpoint: Endpoint, target: Target) -> Unreachable:
    where = f"{endpoint.host} port {endpoint.port}"
    if isinstance(error, socket.gaierror | UnicodeError):
        what, next_ = f"the name {endpoint.host} cannot be resolved", "check the name in the inventory and DNS."
    elif isinstance(error, ConnectionRefusedError):
        what, next_ = f"{where} refuses the connection", "check that sshd runs there, and the port."
    elif isinstance(error, TimeoutError):
        what = f"{where} did not answer within {target.connect_timeout:g} s"
        next_ = "check that the node is up and that no firewall is in the way."
    else:
        what = f"{where} cannot be reached: {getattr(error, 'strerror', None) or error}"
        next_ = "check the address and the network."
    return Unreachable(f"{what}; nothing was changed.", host=target.name, next=next_)


def _through(transport: paramiko.Transport, hop: Endpoint, to: Endpoint, target: Target) -> paramiko.Channel:
    try:
        return transport.open_channel(
            "direct-tcpip", (to.host, to.port), ("127.0.0.1", 0), timeout=target.connect_timeout
        )
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise Unreachable(
            f"jump host {hop} cannot connect to {to.host} port {to.port}: {excerpt(str(error))}; nothing was changed.",
            host=target.name,
            next="check that the jump host reaches the node and allows forwarding.",
        ) from error


def _filled_in(endpoint: Endpoint) -> str:
    values = {"%h": endpoint.host, "%p": str(endpoint.port), "%r": endpoint.user, "%%": "%"}
    text, out = endpoint.proxy_command or "", []
    position = 0
    while position < len(text):
        pair = text[position : position + 2]
        out.append(shlex.quote(values[pair]) if pair in values and pair != "%%" else values.get(pair, pair[0]))
        position += 2 if pair in values else 1
    return "".join(out)


class Proxy:
    """A proxy command: a process whose standard input and output are one end of a socket pair.

    A true socket, so that paramiko waits on it as on any other.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.stream, theirs = socket.socketpair()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        try:
            # As OpenSSH does it: the configuration's own words, run by the shell. The names put into it are
            # checked and quoted. A terminal's Ctrl-C reaches it too, and must not cut off a node that is waited for.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"trap '' INT; exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._stderr,
            )
        finally:
            theirs.close()

    def said(self) -> str:
        """What the command wrote on standard error, for a message."""
        self._stderr.seek(0)
        return excerpt(self._stderr.read(2000).decode("utf-8", "replace"))

    def close(self) -> None:
        """Ends the process; never raises."""
        with suppress(OSError):
            self.stream.close()
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(5)
        self._stderr.close()
