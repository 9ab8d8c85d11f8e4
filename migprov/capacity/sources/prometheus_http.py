"""Asking a Prometheus server: its HTTP API, with whatever guards it, and its errors in words.

requests takes proxies from the environment (HTTPS_PROXY, NO_PROXY). Secrets come as values, are sent as headers and
stand in no message.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from ...connect.shape import printable
from ...errors import BadRequest, SourceError, SourceUnreachable

CONNECT_S = 10.0
TIMEOUT_S = 60.0
AT_ONCE = 4
"""Queries under way at once: a server evaluates 20 unless told otherwise, and others want some too."""
_LARGEST = 256 << 20
_SHOWN = 300
Form = Mapping[str, str | list[str]]


class TooMuch(SourceError):
    """The server refuses a query because it would take too many samples; with fewer series in it, it may answer."""


@dataclass(frozen=True)
class Server:
    """Where a Prometheus server is and how to get in. `url` is its root, with the path prefix if it has one.

    `token` is a bearer token; `user` and `password` are for basic authentication. `ca_file` replaces the system's
    authorities; `cert_file` and `key_file` are the client's certificate. `timeout_s` is for one query.

    Raises:
        BadRequest: something of it cannot be used. Nothing was contacted.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _checked_url(self.url))
        if self.token is not None and self.user is not None:
            raise BadRequest("a bearer token and a user are given; the server takes one of them.")
        if (self.user is None) != (self.password is None):
            raise BadRequest("basic authentication takes a user and a password; one of them is missing.")
        for what, secret in (("the bearer token", self.token), ("the password", self.password)):
            if secret is not None and not (secret and secret.isprintable()):
                raise BadRequest(f"{what} is empty, or has characters that no header can hold.")
        if self.token is not None and not (self.token.isascii() and " " not in self.token):
            raise BadRequest("the bearer token has characters that no header can hold.")
        if self.key_file and not self.cert_file:
            raise BadRequest("a client key is given without its certificate.")
        for what, name in (("CA", self.ca_file), ("certificate", self.cert_file), ("key", self.key_file)):
            if name is not None and not Path(name).is_file():
                raise BadRequest(f"the {what} file {name} is not there.")
        if self.timeout_s <= 0:
            raise BadRequest(f"the time for a query is {self.timeout_s:g} s; it must be longer than 0.")

    @property
    def clear_text(self) -> bool:
        """Whether a secret would be sent without TLS."""
        return self.url.startswith("http://") and (self.token is not None or self.user is not None)


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        port_is_sound = False
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sound:
        raise BadRequest(
            f"{printable(url.rpartition('@')[2])!r} is not the URL of a Prometheus server.",
            next="write it like https://prometheus.example.org:9090",
        )
    if parts.username is not None or parts.password is not None:
        raise BadRequest(
            "the URL holds a user or a password, which others on this machine could read.",
            next="give --user and the password in a file or in the environment",
        )
    if parts.query or parts.fragment:
        raise BadRequest("the URL has a query or a fragment; give the server's root alone.")
    return url.rstrip("/")


class _Bearer(AuthBase):
    """As an auth object, which a ~/.netrc does not replace as it would a header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Nobody(AuthBase):
    """No authentication, whatever ~/.netrc has for that host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Client:
    """Asks one server. May be used by several threads. Close it, or use it in a `with` statement."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE))
        self.warnings: dict[str, None] = {}  # what the server said beside its answers, each once, in order

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def vector(self, query: str, at: float) -> list[tuple[dict[str, str], float]]:
        """The instant vector of a query at a time: labels and value of each element.

        Raises:
            TooMuch: it would take too many samples.
            SourceError, SourceUnreachable: no answer, and why.
        """
        form = {"query": query, "time": f"{at:.3f}", "timeout": f"{max(self._server.timeout_s, 1):.0f}s"}
        data = self._ask("/api/v1/query", form)
        if not isinstance(data, dict) or data.get("resultType") != "vector":
            raise self._not_prometheus("its answer is not a vector")
        try:
            return [(_labels(each["metric"]), float(each["value"][1])) for each in data["result"]]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise self._not_prometheus("its answer is not a vector") from None

    def now(self) -> float:
        """The server's clock, seconds since the epoch; also shows whether it is a Prometheus server at all."""
        data = self._ask("/api/v1/query", {"query": "time()"})
        try:
            found = data["result"]
            # A scalar; VictoriaMetrics has vectors only.
            return float((found[0]["value"] if data["resultType"] == "vector" else found)[1])
        except (KeyError, TypeError, ValueError, IndexError):
            raise self._not_prometheus("it does not tell its time") from None

    def names(self, pattern: str, start: float, end: float) -> list[str]:
        """Names of metrics between two times that match a regular expression."""
        match = f"{{__name__=~{json.dumps(pattern)}}}"
        form: Form = {"match[]": [match], "start": f"{start:.0f}", "end": f"{end:.0f}"}
        data = self._ask("/api/v1/label/__name__/values", form, get=True)
        return [each for each in data if isinstance(each, str)] if isinstance(data, list) else []

    def series(self, match: str, start: float, end: float) -> list[dict[str, str]]:
        """The labels of the series that match, between two times; some around them too."""
        data = self._ask("/api/v1/series", {"match[]": [match], "start": f"{start:.0f}", "end": f"{end:.0f}"})
        return [_labels(each) for each in data if isinstance(each, dict)] if isinstance(data, list) else []

    # -- one request -------------------------------------------------------------------------------------------------

    def _ask(self, path: str, form: Form, *, get: bool = False) -> Any:
        deadline = time.monotonic() + self._server.timeout_s + CONNECT_S
        try:
            with self._send(path, form, get) as response:
                if response.status_code == requests.codes.method_not_allowed and not get:
                    return self._ask(path, form, get=True)
                return self._understood(response, self._body(response, deadline))
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def _send(self, path: str, form: Form, get: bool) -> requests.Response:
        server = self._server
        where: dict[str, Any] = {"params": form} if get else {"data": form}
        return self._session.request(
            "GET" if get else "POST",
            server.url + path,
            auth=self._auth(),
            verify=server.ca_file or _authorities(),
            cert=(server.cert_file, server.key_file) if server.cert_file and server.key_file else server.cert_file,
            timeout=(min(CONNECT_S, server.timeout_s), server.timeout_s),
            allow_redirects=False,
            stream=True,
            **where,
        )

    def _auth(self) -> AuthBase:
        server = self._server
        if server.token is not None:
            return _Bearer(server.token)
        if server.user is not None and server.password is not None:
            # As bytes: requests would encode as Latin-1.
            return HTTPBasicAuth(server.user.encode(), server.password.encode())
        return _Nobody()

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_content(1 << 16):
            parts.append(part)
            size += len(part)
            if size > _LARGEST:
                raise self._failed(f"its answer is larger than {_LARGEST >> 20} MiB")
            if time.monotonic() > deadline:
                raise SourceUnreachable(
                    f"{self._server.url}: no whole answer within {self._server.timeout_s:g} s.", next=_MORE_TIME
                )
        return b"".join(parts)

    def _understood(self, response: requests.Response, body: bytes) -> Any:
        code = response.status_code
        if code in (401, 403):
            raise self._refused(code)
        if code // 100 == 3:
            target = urlsplit(urljoin(response.url, response.headers.get("Location", "")))
            raise self._failed(
                f"it sends us on to {printable(f'{target.scheme}://{target.netloc}{target.path}')[:_SHOWN]}",
                "give the URL that it means; a log-in page does not serve: use a token, or an address behind it",
            )
        if code in _TOO_LONG:
            raise TooMuch(f"{self._server.url}: it does not take a request as long as this (HTTP {code}).")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise self._no_json(code, body) from None
        if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
            raise self._not_prometheus("its answer is JSON, but not Prometheus's")
        if answer["status"] == "error":
            raise self._query_failed(answer)
        told = answer.get("warnings")
        self.warnings.update({printable(str(each))[:_SHOWN]: None for each in (told if isinstance(told, list) else ())})
        if answer.get("isPartial") is True:  # VictoriaMetrics, with a part of its cluster away
            self.warnings["its answer is partial, so peaks may be missing"] = None
        return answer.get("data")

    # -- what went wrong ---------------------------------------------------------------------------------------------

    def _failed(self, what: str, hint: str | None = None) -> SourceError:
        return SourceError(f"{self._server.url}: {what}.", next=hint)

    def _refused(self, code: int) -> SourceError:
        server = self._server
        if server.token is None and server.user is None and not server.cert_file:
            hint = "give a bearer token or a user (see migprov audit --help)"
        else:
            given = "the bearer token" if server.token else f"the user {server.user!r}" if server.user else "the key"
            hint = f"look at {given}: is it the right one, has it expired, may it query?"
        words = "wants to know who asks" if code == requests.codes.unauthorized else "refuses the request"
        return self._failed(f"it {words} (HTTP {code})", hint)

    def _no_json(self, code: int, body: bytes) -> SourceError:
        text = printable(body[:_SHOWN].decode("utf-8", "replace")).strip()
        if "HTTP request to an HTTPS server" in text:
            return self._failed("it speaks TLS", "write https:// in the URL")
        if code == requests.codes.too_many_requests:
            return SourceUnreachable(
                f"{self._server.url}: it has too many requests (HTTP 429): {text[:120]}", next=_LATER
            )
        if code in (502, 503, 504):
            return SourceUnreachable(f"{self._server.url}: no Prometheus behind it (HTTP {code}): {text[:120]}")
        page = text.lower().startswith(("<!doctype", "<html"))
        return self._not_prometheus(
            f"it answers HTTP {code} with " + ("a web page" if page else repr(text[:80]) if text else "nothing")
        )

    def _not_prometheus(self, what: str) -> SourceError:
        return self._failed(
            f"this is no Prometheus: {what}",
            "give the root of the server's API, without /graph or /api, with its path prefix if it has one",
        )

    def _query_failed(self, answer: Mapping[str, Any]) -> SourceError:
        text = printable(str(answer.get("error") or answer.get("errorType") or "no reason given"))[:_SHOWN]
        if _TOO_MUCH.search(text):
            return TooMuch(f"{self._server.url}: {text}.", next="ask for a shorter --window")
        if answer.get("errorType") == "timeout":
            return SourceUnreachable(f"{self._server.url}: {text}.", next=_MORE_TIME)
        return self._failed(f"the query failed: {text}")

    def _unreachable(self, error: requests.RequestException) -> SourceUnreachable:
        what, hint = _why(error, self._server)
        return SourceUnreachable(f"{self._server.url}: {what}.", next=hint)


_LATER = "ask again later"
_TOO_LONG = (413, 414, 431)  # a body, an address or headers too long: with fewer cards in it, it is shorter
_TOO_MUCH = re.compile(
    r"too many samples|exceeded the maximum number|max-(chunks|series|fetched|estimated)|-search\.max"
)
"""In the words of Prometheus, of Thanos and Mimir, and of VictoriaMetrics."""
_MORE_TIME = "give --query-timeout more seconds, or ask for a shorter --window"


def _labels(given: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a series: whoever is scraped may write into them, also what acts on a terminal."""
    return {str(name): printable(str(value)) for name, value in given.items()}


def _authorities() -> str | bool:
    """Whom to believe: what the environment says (requests looks there itself), else the system, else certifi."""
    if any(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")):
        return True
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    return paths.capath if paths.capath and any(Path(paths.capath).iterdir()) else True


def _why(error: requests.RequestException, server: Server) -> tuple[str, str | None]:
    """What is wrong with the way to the server, and what to do."""
    text = str(error)
    host = urlsplit(server.url).hostname
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy that the environment names does not let us through", "look at HTTPS_PROXY and NO_PROXY"
    if isinstance(error, requests.exceptions.SSLError):
        return _why_tls(text)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {min(CONNECT_S, server.timeout_s):g} s", "look at the address and at firewalls"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {server.timeout_s:g} s", _MORE_TIME
    if "NameResolution" in text or "Name or service" in text or "getaddrinfo" in text:
        return f"there is no host {host}", "look at the name in the URL"
    if "refused" in text:
        return "the connection is refused: nothing listens there", "look at the port, and whether Prometheus runs"
    if isinstance(error, OSError) and "invalid path" in text:  # a CA or certificate file that is gone by now
        return "a certificate file cannot be read", None
    return f"the connection broke: {printable(text)[:_SHOWN]}", "look at the address and at what stands in between"


def _why_tls(text: str) -> tuple[str, str | None]:
    if "certificate has expired" in text:
        return "its certificate has expired", "have it renewed; nothing was asked"
    if "self-signed" in text or "self signed" in text:
        return "its certificate is self-signed", "give its authority with --ca"
    if "unable to get local issuer" in text:
        return "its certificate is from an authority that is not known here", "give the authority with --ca"
    if "ostname mismatch" in text or "doesn't match" in text or "IP address mismatch" in text:
        return "its certificate is for another name", "use the name that the certificate has"
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return "it does not speak TLS", "write http:// in the URL, if that is meant"
    if "CERTIFICATE_REQUIRED" in text or "certificate required" in text or "bad certificate" in text:
        return "it wants a client certificate", "give --client-cert and --client-key"
    return f"TLS failed: {printable(text)[:_SHOWN]}", None
