"""The health gate: a command, a URL, a query to Prometheus; asked again after the batch has soaked."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .plays import Ansible, Run
from .rolls import APPLY, STOP, VERIFY, rollout

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

QUERY = 'min(up{job="triton", node=~"gpu[1-3]"}) by (job)'


class Answers(HTTPServer):
    """Answers each query with the next of its lists of samples, the last one for good; 503 but at `/good`."""

    def __init__(self, samples: list[list[str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.samples = samples
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def prometheus(self, query: str) -> dict[str, Any]:
        self.asked.append(query)
        values = self.samples.pop(0) if len(self.samples) > 1 else self.samples[0]
        found = [{"metric": {"job": "triton"}, "value": [1790000000.5, value]} for value in values]
        return {"status": "success", "data": {"resultType": "vector", "result": found}}


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = {}
        if url.path == "/api/v1/query":
            body = self.server.prometheus(parse_qs(url.query)["query"][0])
        self.send_response(200 if body or url.path == "/good" else 503)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing to standard error."""


@contextmanager
def answering(*samples: list[str]) -> Iterator[Answers]:
    with Answers(list(samples)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# What is set, and what the message says; None where the gate is passed.
GATES: dict[str, tuple[dict[str, Any], str | None]] = {
    "command as text": ({"command": "test 'a b' = 'a b'"}, None),
    "no shell": ({"command": "test $HOME = '$HOME'"}, None),
    "command on the control node": ({"command": ["test", "-e", "{here}"], "command_where": "control"}, None),
    "command that says why": (
        {"command": ["python3", "-c", "raise SystemExit('no model')"], "command_where": "control"},
        "exit status 1: no model",
    ),
    "null is not asked": ({"command": None, "prometheus_url": None, "url": "{url}/good"}, None),
    "good URL": ({"url": "{url}/good"}, None),
    "bad URL": ({"url": "{url}/bad"}, "Status code was 503"),
    "status that is awaited": ({"url": "{url}/bad", "status": [503]}, None),
    "no server": ({"url": "http://127.0.0.1:1/"}, "Connection refused"),
    "samples": ({"prometheus_url": "{url}/", "query": QUERY}, None),
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All of them in one run, on this machine."""
    here = tmp_path_factory.mktemp("here")
    with answering(["1", "12.5"]) as server:
        tasks = [
            {
                "name": case,
                "block": [
                    {
                        "ansible.builtin.include_role": {"name": "migprov.gpu.mig_layout", "tasks_from": "health"},
                        "vars": {
                            f"mig_layout_health_{name}": _filled(value, server, here) for name, value in gate.items()
                        },
                    },
                    {"name": f"passed: {case}", "ansible.builtin.debug": {"msg": "passed"}},
                ],
                "rescue": [{"name": f"stopped: {case}", "ansible.builtin.debug": {"var": "ansible_failed_result.msg"}}],
            }
            for case, (gate, _said) in GATES.items()
        ]
        return Ansible(here, None).play(
            tasks,
            *("-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}"),
            connection="local",
            vars={"mig_layout_health_timeout": 0},
        )


def _filled(value: Any, server: Answers, here: Path) -> Any:
    if isinstance(value, list):
        return [_filled(item, server, here) for item in value]
    return value.replace("{url}", server.url).replace("{here}", str(here)) if isinstance(value, str) else value


@pytest.mark.parametrize("case", GATES)
def test_gates(case: str, asked: Run) -> None:
    said = GATES[case][1]
    if said is None:
        assert asked.hosts(f"passed: {case}") == ["localhost"], asked.output
    else:
        assert said in asked.result(f"stopped: {case}")["ansible_failed_result.msg"]


@pytest.mark.long
def test_the_gate_is_asked_again_until_it_is_passed_and_after_the_soak(fleet: Fleet, ansible: Ansible) -> None:
    """No sample, then a good one, and after the soak one of two is 0."""
    with answering([], ["1"], ["1", "0"]) as server:
        prometheus: dict[str, Any] = {
            "mig_layout_health_prometheus_url": server.url,
            "mig_layout_health_query": QUERY,
            "mig_layout_health_timeout": 1,
            "mig_layout_health_interval": 1,
        }
        planned = rollout(ansible, "--check", mig_layout_soak=1, **prometheus)
        assert planned.rc == 0, planned.output
        assert server.asked == []
        run = rollout(ansible, "--skip-tags", "preflight", mig_layout_soak=1, **prometheus)
        assert run.rc == 2
        said = run.of(STOP).result["msg"]
        assert said.startswith("gpu1 was well after its change and is not after 1 s: the health gate is not passed")
        assert '{"metric": {"job": "triton"}, "value": [1790000000.5, "0"]}' in said
        assert run.hosts(VERIFY) == ["gpu1"]
        assert set(server.asked) == {QUERY}
        assert len(server.asked) == 4

        counted = len(server.asked)
        only = rollout(ansible, "--tags", "health", mig_layout_soak=1, **prometheus)
        assert only.rc == 2
        assert only.hosts(APPLY) == only.hosts(VERIFY) == []
        assert "Nothing was changed on it by this run." in only.of(STOP).result["msg"]
        assert len(server.asked) == counted + 2

        server.samples[:] = [["1"]]
        again = rollout(ansible, "--skip-tags", "preflight", mig_layout_soak=1, **prometheus)
        assert again.rc == 0, again.output
        # nothing was changed, so nothing has to soak
        assert again.hosts("Let the batch soak", "skipped") == ["gpu1"]
