"""`migprov layouts`: what stands in a file, and whether it can be made, without a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Migprov

HERE = ("A100-80GB", "H100-80GB-SXM", "H100-80GB-PCIe")


def test_the_list(migprov: Migprov, layouts: Path) -> None:
    answer = migprov("layouts", layouts)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["voice", "seven", "impossible"]
    assert lines[1] == f"  can be made on {', '.join(HERE)}"
    assert f"  not on A100-40GB: {layouts}:4: A100-40GB has no profile 3g.40gb. Did you mean 3g.20gb?" in answer.out
    assert f"  not on A100-80GB: {layouts}:15: 4g.40gb x 2 cannot be placed together on one A100-80GB: " in answer.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["voice"], 0),
        (["impossible"], 1),
        (["voice", "--product", "A100-80GB"], 0),
        (["voice", "--product", "nvidia a100-sxm4-80gb", "--product", "H100-80GB-PCIe"], 0),
        (["voice", "--product", "A100-80GB", "--product", "A30-24GB"], 1),
        (["--product", "A100-80GB"], 1),  # all three
    ],
)
def test_the_check(migprov: Migprov, layouts: Path, words: list[str], code: int) -> None:
    text, told = migprov("layouts", layouts, *words), migprov("layouts", layouts, *words, "--json")
    assert (text.code, text.err) == (told.code, told.err) == (code, "")
    for line in told.lines:
        assert list(line) == ["layout", "product", "possible", "device_ids", "problems"]
        assert line["possible"] is (line["problems"] == [])
        for problem in line["problems"]:
            assert problem["file"] == str(layouts)
            assert f"{layouts}:{problem['line']}: {problem['message']}. {problem['next']}" in text.out
    named = [word for word in words if "GB" in word.upper()]
    assert len(told.lines) == (3 if words[0].startswith("-") else 1) * (len(named) or 14)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["voise"], "no layout named 'voise'. Did you mean voice?"),
        (
            ["voice", "--product", "A100"],
            "no product 'A100' in the table of GPUs.\nNext: name it by A100-40GB, A100-80GB",
        ),
        (["voice", "seven"], "unexpected extra argument"),
        (["voice", "-i", "gpu1,"], "No such option"),
    ],
)
def test_a_wrong_request(migprov: Migprov, layouts: Path, words: list[str], said: str) -> None:
    answer = migprov("layouts", layouts, *words, "--json")
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err


def test_a_name_that_a_terminal_would_obey(migprov: Migprov, layouts: Path) -> None:
    layouts.write_text(layouts.read_text().replace("seven:", r'"\e[2Jtwo\nlines":'))
    assert "\n'\\x1b[2Jtwo\\nlines'\n" in migprov("layouts", layouts).out


def test_boards_of_a_product(migprov: Migprov, layouts: Path) -> None:
    layouts.write_text(layouts.read_text().replace("devices: [0]", "devices: [0]\n      device-filter: 0x20B510DE"))
    answer = migprov("layouts", layouts, "seven")
    assert "  can be made on A100-80GB (0x20B510DE only)\n" in answer.out
    assert "  not on H100-80GB-SXM: " in answer.out
