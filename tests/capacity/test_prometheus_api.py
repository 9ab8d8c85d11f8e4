"""Servers that speak Prometheus's API in their own way, and what stands in front of them."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from migprov.capacity.sources import prometheus
from migprov.capacity.sources.prometheus_http import Server
from migprov.errors import SourceError, SourceUnreachable

NOW = 5000.0
Labels = Mapping[str, str]
Reply = tuple[int, Any]
CARDS = [{"UUID": f"GPU-{n}", "gpu": str(n), "Hostname": "gpu1", "modelName": "NVIDIA H200"} for n in range(4)]


def _good(data: Any, **more: Any) -> Reply:
    return 200, {"status": "success", "data": data, **more}


def _wrong(text: str, code: int = 422) -> Reply:
    return code, {"status": "error", "errorType": "execution", "error": text}


def _asked_for(query: str, series: Sequence[Labels]) -> list[Labels]:
    cards = re.search(r'UUID=~"([^"]*)"', query)
    return [each for each in series if cards and re.fullmatch(cards[1].replace("\\\\", "\\"), each.get("UUID", ""))]


def prometheus_of(series: Sequence[Labels]) -> Callable[[str, str], Reply]:
    """A server with these series of memory, whose every sample is 5,000, as its clock is."""

    def reply(path: str, query: str) -> Reply:
        if path.endswith("/series"):
            return _good(list(series))
        if path.endswith("/values"):
            return _good(["DCGM_FI_DEV_FB_USED"])
        if query == "time()":
            return _good({"resultType": "scalar", "result": [NOW, str(NOW)]})
        found = [{"metric": dict(each), "value": [NOW, str(NOW)]} for each in _asked_for(query, series)]
        return _good({"resultType": "vector", "result": found})

    return reply


@contextlib.contextmanager
def speaking(reply: Callable[[str, str], Reply], location: str | None = None) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, asked = self.path.partition("?")
            form = parse_qs(asked or self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
            status, body = reply(path, form.get("query", [""])[0])
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_victoriametrics_has_vectors_only_and_says_what_is_partial() -> None:
    usual = prometheus_of(CARDS)

    def reply(path: str, query: str) -> Reply:
        if query == "time()":
            return _good({"resultType": "vector", "result": [{"metric": {}, "value": [NOW, str(NOW)]}]})
        status, body = usual(path, query)
        return status, {**body, "isPartial": True}

    with speaking(reply) as server:
        found = prometheus.read(server, 3600)
    assert [row.memory_peak_mib for row in found.usages] == [5000] * 4
    assert "Prometheus says: its answer is partial, so peaks may be missing" in found.notes


@pytest.mark.parametrize(
    "refusal",
    [
        (413, "request entity too large"),
        (414, "<html>Request-URI Too Large</html>"),
        _wrong("the query exceeded the maximum number of chunks (limit: 2 chunks) (err-mimir-max-chunks-per-query)"),
        _wrong("cannot process more than 9 samples; see -search.maxSamplesPerQuery"),
    ],
)
def test_what_is_too_much_for_a_server_is_asked_in_parts(refusal: Reply) -> None:
    usual = prometheus_of(CARDS)

    def reply(path: str, query: str) -> Reply:
        return refusal if len(_asked_for(query, CARDS)) > 1 else usual(path, query)

    with speaking(reply) as server:
        found = prometheus.read(server, 3600)
    assert [(row.gpu, row.memory_peak_mib) for row in found.usages] == [(n, 5000) for n in range(4)]


def _nested(path: str, query: str) -> Reply:
    return 200, "[" * 200_000


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (lambda *_: (429, "slow down"), SourceUnreachable, r"too many requests \(HTTP 429\): slow down"),
        (_nested, SourceError, "no Prometheus"),
        (lambda *_: _good({"resultType": "vector", "result": []}), SourceError, "does not tell its time"),
        (prometheus_of([{"gpu": "0", "Hostname": "gpu1"}]), SourceError, "have no label UUID"),
    ],
)
def test_what_cannot_be_read(reply: Callable[[str, str], Reply], error: type[SourceError], said: str) -> None:
    with speaking(reply) as server, pytest.raises(error, match=said):
        prometheus.read(server, 3600)


def test_a_gate_that_sends_on_within_its_own_address() -> None:
    with speaking(lambda *_: (302, ""), location="/oauth2/start?rd=secret") as server:
        with pytest.raises(SourceError, match="sends us on to") as caught:
            prometheus.read(server, 3600)
        assert f"{server.url}/oauth2/start." in str(caught.value)
        assert "secret" not in str(caught.value)


def test_what_is_scraped_does_not_act_on_the_terminal() -> None:
    card = {**CARDS[0], "Hostname": "gpu\x1b[2J1", "pod": "a\u202eb", "namespace": "n"}
    with speaking(prometheus_of([card, {"gpu": "7"}])) as server:
        found = prometheus.read(server, 3600)
    assert {row.host for row in found.usages} == {"gpu?[2J1"}
    assert [str(row.workload) for row in found.usages if row.workload] == ["n/a?b"]
    assert "1 of 2 series of DCGM_FI_DEV_FB_USED have no label UUID and are left out." in found.notes


@pytest.mark.parametrize("order", [1, -1])
def test_two_exporters_of_one_card_are_one_card_whoever_answers_first(order: int) -> None:
    both = [{**CARDS[0], "Hostname": name, "instance": f"{name}:9400"} for name in ("gpu1", "exporter-x2x")]
    with speaking(prometheus_of(both[::order])) as server:
        found = prometheus.read(server, 3600)
    assert [(row.host, row.memory_peak_mib) for row in found.usages] == [("gpu1", 5000)]
