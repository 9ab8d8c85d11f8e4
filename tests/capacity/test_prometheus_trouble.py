"""A Prometheus server that cannot be used: every message says what is wrong and what to do, and shows no secret."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from .command import Answer, audit
from .prometheus_server import PRESENT, WHY_NOT, answering, certificate, history, running

pytestmark = pytest.mark.long

needs_prometheus = pytest.mark.skipif(not PRESENT, reason=WHY_NOT)
SECRET = "s3cret-of-the-test"
CARD = {"gpu": "0", "UUID": "GPU-a", "modelName": "NVIDIA H200", "Hostname": "gpu1"}
UNREACHABLE, FAILED, BAD_REQUEST = 4, 2, 1


def _said(answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, answer
    assert answer.out == ""
    for word in words:
        assert word in answer.err, answer.err
    assert SECRET not in answer.err


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    now = time.time() - 5
    samples = [("DCGM_FI_DEV_FB_USED", CARD, 5000.0, now - 60 * number) for number in range(60)]
    return history(tmp_path_factory.mktemp("small"), samples)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("prometheus:9090", ["is not the URL of a Prometheus server", "write it like https://"]),
        ("ftp://prometheus", ["is not the URL"]),
        ("http://", ["is not the URL"]),
        ("http://prometheus:99999", ["is not the URL"]),
        (f"http://me:{SECRET}@prometheus", ["holds a user or a password"]),
        ("http://prometheus/graph?g0.expr=up", ["the server's root alone"]),
    ],
)
def test_what_is_no_url(url: str, words: list[str]) -> None:
    _said(audit("--prometheus", url), BAD_REQUEST, *words)


def test_nobody_there() -> None:
    with answering("") as address:
        pass
    _said(audit("--prometheus", f"http://{address}"), UNREACHABLE, "connection is refused", "look at the port")
    _said(
        audit("--prometheus", "http://no-such-host.invalid:9090"), UNREACHABLE, "there is no host no-such-host.invalid"
    )


def test_something_else_answers() -> None:
    page = "<!DOCTYPE html><html><body>Grafana</body></html>"
    with answering(page, kind="text/html") as address:
        _said(
            audit("--prometheus", f"http://{address}"), FAILED, "no Prometheus", "a web page", "without /graph or /api"
        )
    with answering("404 page not found\n", status=404) as address:
        _said(audit("--prometheus", f"http://{address}"), FAILED, "HTTP 404")
    with answering('{"database": "ok"}', kind="application/json") as address:
        _said(audit("--prometheus", f"http://{address}"), FAILED, "JSON, but not Prometheus's")
    with answering("no healthy upstream", status=503) as address:
        _said(audit("--prometheus", f"http://{address}"), UNREACHABLE, "no Prometheus behind it (HTTP 503)")
    with answering("", status=302, location=f"https://login.example.org/?next={SECRET}") as address:
        _said(audit("--prometheus", f"http://{address}"), FAILED, "sends us on to https://login.example.org", "log-in")
    with answering("", status=403) as address:
        refused = audit("--prometheus", f"http://{address}", MIGPROV_PROMETHEUS_TOKEN=SECRET)
        _said(refused, FAILED, "HTTP 403", "look at the bearer token")


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        _said(
            audit("--prometheus", url, "--query-timeout", "1"), UNREACHABLE, "no answer within 1 s", "--query-timeout"
        )


@needs_prometheus
def test_no_data_and_other_names(tmp_path: Path) -> None:
    with running(tmp_path / "empty") as url:
        _said(
            audit("--prometheus", url),
            FAILED,
            "no series DCGM_FI_DEV_FB_USED in the last 14 d; dcgm-exporter is not scraped",
        )
    now = time.time() - 5
    other = history(tmp_path, [("dcgm_fb_used", CARD, 1.0, now), ("DCGM_FI_DEV_FB_USED", CARD, 1.0, now - 30 * 86400)])
    with running(tmp_path / "other", data=other) as url:
        _said(audit("--prometheus", url), FAILED, "no series", "similar names there: dcgm_fb_used")


@needs_prometheus
def test_partial_data_is_unknown(tmp_path: Path, data: Path) -> None:
    with running(tmp_path, data=data) as url:
        answer = audit("--prometheus", url, "--json")
        assert (answer.code, answer.verdicts) == (0, {"gpu1/0": "unknown"})
        assert "% of 14 d, 50 % are needed" in " ".join(answer.lines[0]["reasons"])
        # Of the last hour there is all of it.
        assert audit("--prometheus", url, "--json", "--window", "1h").verdicts == {"gpu1/0": "hollow"}
        assert audit("--prometheus", f"{url}/", "--json", "--window", "1h").code == 0
        _said(audit("--prometheus", url, "--window", "yesterday"), BAD_REQUEST, "is not a time such as 14d")
        _said(audit("--prometheus", url.replace("http", "https")), UNREACHABLE, "does not speak TLS")


@needs_prometheus
def test_a_path_prefix(tmp_path: Path, data: Path) -> None:
    with running(tmp_path, data=data, prefix="/metrics/prod") as url:
        assert audit("--prometheus", url, "--json", "--window", "1h").code == 0
        _said(audit("--prometheus", url.removesuffix("/metrics/prod")), FAILED, "no Prometheus")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[tuple[str, Path]]:
    """A server with TLS and basic authentication; gives its URL and its authority."""
    folder = tmp_path_factory.mktemp("guarded")
    cert, key = certificate(folder, days=30)
    hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
    web = f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\nbasic_auth_users: {{capacity: '{hashed}'}}\n"
    with running(folder, data=data, web=web) as url:
        yield url.replace("http://", "https://"), cert


@needs_prometheus
def test_tls_and_basic_authentication(guarded: tuple[str, Path], tmp_path: Path) -> None:
    url, authority = guarded
    good, wrong = tmp_path / "good", tmp_path / "wrong"
    good.write_text(SECRET + "\n")
    wrong.write_text("another\n")
    known = ("--prometheus", url, "--ca", authority, "--window", "1h", "--json")
    by_file = audit(*known, "--user", "capacity", "--password-file", good)
    assert (by_file.code, by_file.verdicts) == (0, {"gpu1/0": "hollow"}), by_file.err
    assert audit(*known, "--user", "capacity", MIGPROV_PROMETHEUS_PASSWORD=SECRET).code == 0
    # What the environment says of authorities does not outrank the option.
    assert audit(*known, "--user", "capacity", "--password-file", good, REQUESTS_CA_BUNDLE=str(wrong)).code == 0
    in_environment = audit(
        *("--prometheus", url, "--window", "1h", "--json", "--user", "capacity", "--password-file", good),
        REQUESTS_CA_BUNDLE=str(authority),
    )
    assert in_environment.code == 0

    _said(audit(*known), FAILED, "wants to know who asks (HTTP 401)", "give a bearer token or a user")
    _said(audit(*known, "--user", "capacity", "--password-file", wrong), FAILED, "HTTP 401", "the user 'capacity'")
    _said(audit(*known, "--user", "capacity"), BAD_REQUEST, "--user needs a password")
    _said(audit(*known, "--password-file", good), BAD_REQUEST, "--password-file goes with --user")
    _said(audit("--prometheus", url), UNREACHABLE, "its certificate is self-signed", "--ca")
    _said(audit("--prometheus", url.replace("https", "http")), FAILED, "it speaks TLS", "https://")


@needs_prometheus
def test_a_certificate_that_has_expired(tmp_path: Path, data: Path) -> None:
    cert, key = certificate(tmp_path, days=-1)
    web = f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n"
    with running(tmp_path / "server", data=data, web=web) as url:
        answer = audit("--prometheus", url.replace("http", "https"), "--ca", cert)
    _said(answer, UNREACHABLE, "its certificate has expired", "nothing was asked")


@needs_prometheus
def test_a_certificate_for_another_name_and_one_for_clients(tmp_path: Path, data: Path) -> None:
    cert, key = certificate(tmp_path, days=30, name="127.0.0.2")
    web = f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n"
    with running(tmp_path / "server", data=data, web=web) as url:
        answer = audit("--prometheus", url.replace("http", "https"), "--ca", cert)
    _said(answer, UNREACHABLE, "its certificate is for another name")

    cert, key = certificate(tmp_path / "mutual", days=30)
    tls = f"cert_file: {cert}, key_file: {key}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: {cert}"
    with running(tmp_path / "mutual", data=data, web=f"tls_server_config: {{{tls}}}\n") as url:
        known = ("--prometheus", url.replace("http", "https"), "--ca", cert, "--window", "1h")
        assert audit(*known, "--client-cert", cert, "--client-key", key).code == 0
        # With TLS 1.3 the refusal may come after the handshake, and the connection may be gone before it is read.
        refused = audit(*known)
        named = ("wants a client certificate", "--client-cert")
        _said(refused, UNREACHABLE, *(named if named[0] in refused.err else ("TLS failed",)))


def test_a_bearer_token_reaches_the_server_and_nothing_else(tmp_path: Path) -> None:
    """Prometheus itself knows no tokens: a guard in front of it does. This one says what it got."""
    got: list[str | None] = []
    token = tmp_path / "token"
    token.write_text(SECRET + "\n")
    with answering(
        '{"status": "success", "data": {"resultType": "scalar", "result": [0, "1e9"]}}', seen=got
    ) as address:
        answer = audit("--prometheus", f"http://{address}", "--token-file", token)
        _said(answer, FAILED, "no series", "has no TLS: what guards it can be read on the way")
        assert set(got) == {f"Bearer {SECRET}"}
        # A ~/.netrc is for those who ask for it.
        got.clear()
        home = tmp_path / "home"
        home.mkdir()
        (home / ".netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
        (home / ".netrc").chmod(0o600)
        audit("--prometheus", f"http://{address}", HOME=str(home))
        assert set(got) == {None}
    token.write_text("two\nlines\n")
    _said(audit("--prometheus", "http://127.0.0.1:9", "--token-file", token), BAD_REQUEST, "no header can hold")
    both = audit(
        "--prometheus", "http://127.0.0.1:9", "--token-file", token, "--user", "me", MIGPROV_PROMETHEUS_PASSWORD="x"
    )
    _said(both, BAD_REQUEST, "takes one of them")
