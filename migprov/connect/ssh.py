"""A node over SSH, with paramiko: one connection, used for many calls, by one thread at a time."""

from __future__ import annotations

import select
import time
from contextlib import suppress

import paramiko

from ..errors import CallTimeout, ConnectionLost, Unreachable
from .bounded import Output
from .call import Finished
from .command import excerpt
from .route import open_transport
from .ssh_config import resolve
from .target import Target

AGAIN = "read the node with 'migprov info'. Running the same again is safe: it starts from what the GPUs are then."


class SshConnection:
    """A logged-in connection to `target`.

    Raises:
        BadRequest: the SSH configuration cannot be used.
        Unreachable, HostKeyError, AuthFailed: no connection came about.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._limit = target.timeout
        self._endpoint = resolve(target)
        self._transport, self._route = open_transport(self._endpoint, target)

    def execute(self, command: str, stdin: bytes, *, timeout: float) -> Finished:
        """Run `command`, give it `stdin`, and wait for its end, `timeout` seconds at most.

        Raises:
            Unreachable: the command could not be started; nothing was done.
            ConnectionLost: the connection broke after that. CallTimeout: no end in time.
        """
        deadline = time.monotonic() + timeout
        self._limit = timeout
        channel = self._session()
        try:
            self._start(channel, command)
            self._send(channel, stdin, deadline)
            output = self._collect(channel, deadline)
            return self._finished(channel, output, deadline)
        finally:
            with suppress(Exception):
                channel.close()

    def close(self) -> None:
        """Let go of the node. Never raises."""
        with suppress(Exception):
            self._transport.close()
        self._route.close()

    def _session(self) -> paramiko.Channel:
        try:
            return self._transport.open_session(timeout=self._target.connect_timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self._transport.is_active():
                raise self._no_session(error) from error
        # It broke while nothing was under way: connect anew.
        self.close()
        self._transport, self._route = open_transport(self._endpoint, self._target)
        try:
            return self._transport.open_session(timeout=self._target.connect_timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._no_session(error) from error

    def _start(self, channel: paramiko.Channel, command: str) -> None:
        channel.settimeout(self._target.connect_timeout)
        try:
            channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not self._transport.is_active():
                raise self._lost() from error
            raise self._no_session(error) from error

    def _send(self, channel: paramiko.Channel, stdin: bytes, deadline: float) -> None:
        channel.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            channel.sendall(stdin)
            channel.shutdown_write()
        except TimeoutError as error:
            raise self._late() from error
        except (OSError, EOFError, paramiko.SSHException):
            # The command ended before it read its input ("not there", sudo refused): its exit status tells.
            return

    def _collect(self, channel: paramiko.Channel, deadline: float) -> Output:
        # Both streams in turn, or a long standard error would block. poll, not select: with hundreds of
        # nodes file descriptors go beyond what select takes.
        output = Output()
        poller = select.poll()
        poller.register(channel.fileno(), select.POLLIN)
        while not output.too_long:
            over = channel.eof_received or channel.closed
            while channel.recv_ready() and not output.too_long:
                output.out(channel.recv(65536))
            while channel.recv_stderr_ready():
                output.err(channel.recv_stderr(65536))
            if over:
                return output
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._late()
            poller.poll(left * 1000)
        return output

    def _finished(self, channel: paramiko.Channel, output: Output, deadline: float) -> Finished:
        if output.too_long:
            return Finished(-1, output.stdout, output.stderr)
        if not channel.status_event.wait(max(deadline - time.monotonic(), 0.001)):
            raise self._late()
        if channel.exit_status == -1 and not self._transport.is_active():
            raise self._lost()
        return Finished(channel.exit_status, output.stdout, output.stderr)

    def _no_session(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"the login works, but the node runs no command: {excerpt(str(error)) or 'session refused'}; "
            "nothing was changed.",
            host=self._target.name,
            next=f"try: ssh -p {self._endpoint.port} {self._endpoint.user}@{self._endpoint.host} true",
        )

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(
            "the connection broke while the program was at work; it may have gone on, so what it changed is not known.",
            host=self._target.name,
            next=AGAIN,
        )

    def _late(self) -> CallTimeout:
        return CallTimeout(
            f"no answer within {round(self._limit, 1):g} s; the program was not ended and may still be at work.",
            host=self._target.name,
            next=AGAIN,
        )
