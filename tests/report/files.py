"""The files that reports are made of, written by the command itself."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml

from migprov.cli.main import run
from tests.cli import conftest as cli

HOSTILE = (
    "<script>alert(1)</script>",
    "</title><img src=x onerror=alert(2)>",
    "\"quoted\" & 'single'",
    "{{ 7 * 7 }}",
    "embedding-service-with-a-very-long-name-that-goes-on-and-on",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    "音声認識サービス日本語モデルの名前はとても長い",
)


class Answer(cli.Answer):
    """What the command printed, and its exit code."""

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which is one JSON object and nothing else."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def migprov(*arguments: object) -> Answer:
    """The command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(each) for each in arguments])
    return Answer(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Planned:
    """A plan's JSON and the workloads file that it was made of."""

    plan: Path
    workloads: Path

    @property
    def arguments(self) -> tuple[object, ...]:
        """What names them to `migprov report`."""
        return "report", "--plan", self.plan, "--workloads", self.workloads


def planned(folder: Path, workloads: Sequence[dict[str, Any]], nodes: Sequence[dict[str, Any]]) -> Planned:
    """Plan these workloads on these nodes on paper."""
    wanted, fleet, plan = folder / "workloads.yml", folder / "fleet.yml", folder / "plan.json"
    wanted.write_text(yaml.safe_dump({"version": "v1", "workloads": list(workloads)}, allow_unicode=True), "utf-8")
    fleet.write_text(yaml.safe_dump({"version": "v1", "nodes": list(nodes)}))
    answer = migprov("plan", wanted, "--fleet", fleet, "--json")
    plan.write_text(answer.out)
    assert answer.out, answer.err
    return Planned(plan, wanted)


def seed(folder: Path) -> Planned:
    """Three cards of 80 GB, and a model on each."""
    sizes = {"llm": "73.2 GiB", "asr-english": "9.6 GiB", "tts": "13.4 GiB"}
    workloads: list[dict[str, Any]] = [
        {"name": name, "memory": size, "runs-on": [{"host": "gpu1", "gpu": index}]}
        for index, (name, size) in enumerate(sizes.items())
    ]
    workloads[0]["headroom"] = "5%"
    return planned(folder, workloads, [{"name": "gpu1", "gpus": "3xA100-80GB", "price": 2}])


def many(folder: Path) -> Planned:
    """496 cards of three products, workloads with hostile names, and one that fits nowhere."""
    spots = [{"host": f"gpu{node:03}", "gpu": gpu} for node in range(62) for gpu in range(8)]
    sizes = (60, 9.6, 13.4, 3, 22, 7, 38)
    workloads: list[dict[str, Any]] = [
        {"name": name, "memory": f"{size} GiB", "replicas": 60, "runs-on": spots[number::7][: 50 + number]}
        for number, (name, size) in enumerate(zip(HOSTILE, sizes, strict=True))
    ]
    workloads.append({"name": "too-big", "memory": "300 GiB"})
    nodes = [
        {"name": "gpu[000:029]", "gpus": "8xA100-80GB", "price": 2},
        {"name": "gpu[030:049]", "gpus": "8xH200-141GB", "price": 3.5},
        {"name": "gpu[050:061]", "gpus": "8xA30-24GB", "price": 0.75},
    ]
    return planned(folder, workloads, nodes)


class Page(HTMLParser):
    """What stands in a page: its elements, attributes, texts, and the numbers of the figures and totals."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.style = ""
        self.numbers: dict[tuple[str, str], list[float]] = {}
        self.data: list[float] = []
        self._path: list[str] = []
        self._key: str | None = None
        self._when = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in given.items()]
        self._path.append(tag)
        if tag in ("section", "h2"):
            self._key = None if tag == "section" else self._key
        self._key = given.get("data-key", self._key)
        words = given.get("class", "").split()
        self._when = next((word for word in words if word in ("before", "after")), self._when)
        if tag == "data":
            self.data.append(float(given["value"]))
            if self._key is not None:
                self.numbers.setdefault((self._key, self._when), []).append(float(given["value"]))

    def handle_data(self, data: str) -> None:
        if self._path and self._path[-1] == "style":
            self.style += data
        elif data.strip():
            self.texts.append(" ".join(data.split()))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._path:
            while self._path.pop() != tag:
                pass

    @property
    def text(self) -> str:
        """All that is to be read."""
        return " ".join(self.texts)
