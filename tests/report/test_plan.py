"""The report of a plan: the numbers, the same in JSON, text and page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from .files import HOSTILE, Page, Planned, migprov

DRAWN = {"svg", "g", "rect", "line", "text", "tspan", "title", "defs", "pattern", "circle"}
TOLD = {"data", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "figure"}
PLAIN = {"html", "head", "meta", "style", "body", "header", "main", "section", "article", "div", "span", "p", "small"}
WORDS = {"h1", "h2", "h3", "strong", "figcaption"}


def test_the_voice_pipeline(seed_plan: Planned) -> None:
    told = migprov(*seed_plan.arguments, "--json").json
    before, after = told["before"], told["after"]
    assert [side["used_mib"] for side in (before, after)] == [98510, 98510]
    assert [side["memory_mib"] for side in (before, after)] == [245760, 163840]
    assert [round(side["efficiency"], 4) for side in (before, after)] == [0.4008, 0.6013]
    assert [side["in_use"] for side in (before, after)] == [3, 2]
    assert [side["for_hours"] for side in (before, after)] == [4320, 2880]
    assert told["saved"] == {"per_hour": 2.0, "for_hours": 1440.0}
    assert len(told["freed"]) == 1


@pytest.mark.parametrize("columns", ["80", "160"])
def test_the_text_has_them_too(columns: str, seed_plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = migprov(*seed_plan.arguments, "--currency", "$").out
    for line in (
        r"1 of 3 cards is freed",
        r"Used, of the cards in use +40 % +60 %",
        r"Memory of the cards in use +240 GiB +160 GiB",
        r"Memory that is used +96\.2 GiB +96\.2 GiB",
        r"Cost, a month of 720 h +\$4,320 +\$2,880",
        r"\$1,440 less",
        r"1g\.20gb at \d +asr-english +9\.6 of 19\.5 +49 % +14 of 98 +510",
    ):
        assert re.search(line, text), (line, text)


def test_the_page_says_the_same(seed_page: Path) -> None:
    text = Page(seed_page.read_text("utf-8")).text
    for words in ("1 of 3 cards is freed", "40 %", "60 %", "96.2 of 240 GiB", "96.2 of 160 GiB", "$4,320", "$2,880"):
        assert words in text, words
    for words in ("$1,440 less", "freed: gpu1/", "asr-english moves to", "Ways to cut", "3g.40gb + 3g.40gb"):
        assert words in text, words


@pytest.mark.parametrize("which", ["seed", "many"])
def test_the_numbers_of_the_page_are_those_of_the_json(which: str, request: pytest.FixtureRequest) -> None:
    told = migprov(*request.getfixturevalue(f"{which}_plan").arguments, "--json").json
    page = Page(request.getfixturevalue(f"{which}_page").read_text("utf-8"))
    keys = {key for key, _ in page.numbers}
    assert keys == {
        *("cards", "in_use", "memory_mib", "allocated_mib", "used_mib", "efficiency", "fill", "per_hour", "for_hours")
    }
    for when in ("before", "after"):
        for key in keys:
            for number in page.numbers[key, when]:
                assert number == pytest.approx(told[when][key], abs=1e-6), (key, when)
    parts = {
        number
        for card in told["cards"]
        for when in ("before", "after")
        for part in card[when]["parts"]
        for number in (part["used_mib"], part["memory_mib"])
    }
    assert parts <= set(page.data)


def test_every_card_is_on_the_page(many_plan: Planned, many_page: Path) -> None:
    told = migprov(*many_plan.arguments, "--json").json
    assert len(told["cards"]) == 496
    text = Page(many_page.read_text("utf-8")).text
    for card in told["cards"]:
        assert re.search(rf"\b{card['host']}/{card['index']}\b", text), card
    assert "1 replica of too-big" in text
    assert many_page.stat().st_size < 2_000_000


def test_hostile_names_are_text(many_page: Path) -> None:
    page = Page(many_page.read_text("utf-8"))
    assert page.tags <= DRAWN | TOLD | PLAIN | WORDS, page.tags
    assert not [each for each in page.attributes if each[1].startswith("on") or each[1] == "style"]
    for name in HOSTILE:
        assert name in page.text, name
    assert "<b>Voice</b> & search" in page.text


def test_the_page_needs_nothing_and_lets_nothing_in(seed_page: Path) -> None:
    page = Page(seed_page.read_text("utf-8"))
    assert not [each for each in page.attributes if each[1] in ("src", "href", "xlink:href", "action", "srcset")]
    assert not re.findall(r"url\((?!#)|@import", page.style)
    policy = next(value for tag, name, value in page.attributes if name == "content" and "default-src" in value)
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_a_page_is_not_overwritten_unasked(seed_plan: Planned, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    answer = migprov(*seed_plan.arguments, "-o", path)
    assert (answer.code, path.read_text()) == (1, "mine")
    assert "--force" in answer.err
    assert migprov(*seed_plan.arguments, "-o", path, "--force").code == 0
    assert path.read_text("utf-8").startswith("<!doctype html>")


def test_money(seed_plan: Planned) -> None:
    told = migprov(*seed_plan.arguments, "--price", "3.5", "--hours", "100", "--json").json
    assert (told["before"]["for_hours"], told["after"]["for_hours"]) == (1050, 700)
    assert (
        "EUR 2,555.50"
        in migprov(*seed_plan.arguments, "--price", "7.0986111", "--hours", "120", "--currency", "EUR").out
    )
    assert "Cost" in migprov(*seed_plan.arguments).out


def _changed(plan: Path, folder: Path, **changes: Any) -> Path:
    path = folder / "changed.json"
    path.write_text(json.dumps({**json.loads(plan.read_text()), **changes}))
    return path


def test_a_what_if_has_no_before(seed_plan: Planned, tmp_path: Path) -> None:
    path = _changed(seed_plan.plan, tmp_path, what_if="all cards were H200-141GB")
    told = migprov("report", "--plan", path, "--workloads", seed_plan.workloads, "--json").json
    assert (told["before"], told["freed"], told["after"]["in_use"]) == (None, [], 2)
    page = tmp_path / "page.html"
    assert migprov("report", "--plan", path, "--workloads", seed_plan.workloads, "-o", page).code == 0
    texts = Page(page.read_text("utf-8")).texts
    assert "What if all cards were H200-141GB: a plan on paper, for no node as it is." in texts
    assert "Before" not in texts
    assert texts.count("Planned") == 4  # three cards, and the totals


def test_text_that_acts_on_a_terminal_is_made_harmless(seed_plan: Planned, tmp_path: Path) -> None:
    path = _changed(seed_plan.plan, tmp_path, notes=["red \x1b[31m alert \u202e turned"])
    answer = migprov("report", "--plan", path, "--workloads", seed_plan.workloads)
    assert "red ?[31m alert ? turned" in answer.out
    assert "\x1b" not in answer.out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("nothing", "is no JSON"),
        ("[1]", "must be one JSON object"),
        ('{"cards": []}', "is missing"),
        ('{"notes": NaN}', "is no JSON that can be used"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_plan_is_refused(content: str, says: str, seed_plan: Planned, tmp_path: Path) -> None:
    path, page = tmp_path / "plan.json", tmp_path / "page.html"
    path.write_text(content)
    answer = migprov("report", "--plan", path, "--workloads", seed_plan.workloads, "-o", page)
    assert (answer.code, answer.out, page.exists()) == (1, "", False)
    assert says in answer.err


@pytest.mark.parametrize(
    "changes",
    [
        {"cards": [{"host": "gpu1"}]},
        {"cards": "many"},
        {"assignments": [{"workload": 7}]},
        {"used": None},
        {"kept": None},
        {"order": 3},
        {"explained": [{}]},
    ],
)
def test_a_plan_that_was_tampered_with_is_refused(changes: dict[str, Any], seed_plan: Planned, tmp_path: Path) -> None:
    path = _changed(seed_plan.plan, tmp_path, **changes)
    answer = migprov("report", "--plan", path, "--workloads", seed_plan.workloads)
    assert (answer.code, answer.out) == (1, "")
    assert "is not what 'migprov plan --json' prints" in answer.err


def test_another_workloads_file_is_refused(seed_plan: Planned, tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    other.write_text("version: v1\nworkloads:\n  - {name: llm, memory: 73.2 GiB}\n")
    answer = migprov("report", "--plan", seed_plan.plan, "--workloads", other)
    assert answer.code == 1
    assert "which the workloads file does not have" in answer.err


def test_a_workloads_file_that_was_edited_since_is_noticed(seed_plan: Planned, tmp_path: Path) -> None:
    text = seed_plan.workloads.read_text().replace("- gpu: 2", "- gpu: 1\n    start: 0")
    assert text != seed_plan.workloads.read_text()
    other = tmp_path / "other.yml"
    other.write_text(text)
    answer = migprov("report", "--plan", seed_plan.plan, "--workloads", other, "--json")
    assert "by this workloads file there are 2" in answer.json["notes"][0]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--plan", "x.json"),
        ("--before", "x"),
        ("--plan", "x", "--workloads", "w", "--before", "a", "--after", "b"),
        ("--before", "a", "--after", "b", "--workloads", "w"),
        ("--plan", "missing.json", "--workloads", "missing.yml"),
        ("--before", "missing", "--after", "missing"),
        ("--plan", "x", "--workloads", "w", "--hours", "0"),
        ("--plan", "x", "--workloads", "w", "--currency", "\x1b[31m"),
    ],
)
def test_requests_that_make_no_sense(arguments: tuple[str, ...]) -> None:
    answer = migprov("report", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err
