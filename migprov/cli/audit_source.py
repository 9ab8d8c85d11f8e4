"""Where an audit measures: the options of `migprov audit` that say so, and the secrets that they name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import BadRequest
from .numbers import Number

if TYPE_CHECKING:
    from ..capacity.sources.prometheus_http import Server

TOKEN = "MIGPROV_PROMETHEUS_TOKEN"  # noqa: S105 # the name of a variable
PASSWORD = "MIGPROV_PROMETHEUS_PASSWORD"  # noqa: S105 # likewise
_LONGEST_SECRET = 64 << 10
_DURATION = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (7 * 86400, 86400, 3600, 60, 1)
_LEAST_S, _MOST_S = 60, 5 * 366 * 86400
_Command = TypeVar("_Command", bound=Callable[..., Any])


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A time as Prometheus writes it (`14d`, `36h`, `1w2d`) in whole seconds."""
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        raise click.BadParameter(f"{value!r} is not a time such as 14d, 36h or 90m.", ctx, param)
    seconds = sum(int(number or 0) * size for number, size in zip(match.groups(), _SECONDS, strict=True))
    if not _LEAST_S <= seconds <= _MOST_S:
        raise click.BadParameter(f"{value} is not between a minute and five years.", ctx, param)
    return seconds


_FILE = click.Path(exists=True, dir_okay=False)


def prometheus_options(command: _Command) -> _Command:
    """Give a command the options that say where Prometheus is and how to get in."""
    for option in reversed(
        (
            click.option(
                "--prometheus", metavar="URL", help="The root of a Prometheus server with dcgm-exporter's series."
            ),
            click.option(
                "--window", callback=duration, metavar="TIME", help="How far back Prometheus is asked.  [default: 14d]"
            ),
            click.option("--match", metavar="MATCHERS", help="Only series with these labels, as 'cluster=\"a\"'."),
            click.option("--host-label", metavar="LABEL", help="The label that names the host.  [default: Hostname]"),
            click.option("--token-file", type=_FILE, help=f"Bearer token; or in {TOKEN}."),
            click.option("--user", metavar="NAME", help=f"User; the password in --password-file or in {PASSWORD}."),
            click.option("--password-file", type=_FILE, help="Password of --user."),
            click.option("--ca", type=_FILE, help="Authorities of the server's certificate, instead of the system's."),
            click.option("--client-cert", type=_FILE, help="Certificate to show to the server."),
            click.option("--client-key", type=_FILE, help="Its key, where it is not in the same file."),
            click.option(
                "--query-timeout",
                type=Number(min=0, min_open=True),
                default=60.0,
                show_default=True,
                metavar="S",
                help="Seconds for one query.",
            ),
        )
    ):
        command = option(command)
    return command


def server(
    prometheus: str,
    token_file: str | None,
    user: str | None,
    password_file: str | None,
    ca: str | None,
    client_cert: str | None,
    client_key: str | None,
    query_timeout: float,
) -> Server:
    """The server that the options mean.

    Raises:
        BadRequest: they cannot be used. Nothing was contacted.
    """
    from ..capacity.sources.prometheus_http import Server

    token = _secret(token_file, TOKEN if user is None else None)
    if password_file is not None and user is None:
        raise BadRequest("--password-file goes with --user.")
    password = None if user is None else _secret(password_file, PASSWORD)
    if user is not None and password is None:
        raise BadRequest(f"--user needs a password: --password-file, or {PASSWORD} in the environment.")
    found = Server(
        prometheus,
        token=token,
        user=user,
        password=password,
        ca_file=ca,
        cert_file=client_cert,
        key_file=client_key,
        timeout_s=query_timeout,
    )
    if found.clear_text:
        click.echo(f"Note: {found.url} has no TLS: what guards it can be read on the way.", err=True)
    return found


def _secret(file: str | None, variable: str | None) -> str | None:
    """A secret from a file, else from the environment; a line end at its end is none of it."""
    if file is None:
        return (os.environ.get(variable) or None) if variable else None
    try:
        if Path(file).stat().st_size > _LONGEST_SECRET:
            raise BadRequest(f"{file} is too large to hold a secret.")
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise BadRequest(f"{file} is not text.") from None
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {os.strerror(error.errno or 0)}.") from None
