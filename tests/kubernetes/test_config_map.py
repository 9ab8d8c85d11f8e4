"""Our layout in the MIG manager's configuration: pure, so it runs everywhere."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from migprov.fleet.kubernetes.config_map import CannotSay, config, config_name, merged
from migprov.layouts import loads

OURS = [{"devices": [1], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]
OTHERS = """\
version: v1
# Kept by hand.
mig-configs:
  # all cards whole
  all-disabled:
    - devices: all
      mig-enabled: false

  all-1g.10gb:   # seven each
    - devices: all
      mig-enabled: true
      mig-devices:
        "1g.10gb": 7
# the end
"""


def entries(text: str, name: str) -> list[dict[str, Any]]:
    """A layout of a file, as on the wire."""
    return loads(text, "x").layout(name).to_json()


def test_ours_is_added_and_all_else_stays_to_the_letter() -> None:
    made = merged(OTHERS, "migprov-voice", OURS)
    assert yaml.safe_load(made)["mig-configs"]["migprov-voice"] == OURS
    assert [line for line in made.splitlines() if line in OTHERS.splitlines()] == OTHERS.splitlines()


def test_ours_is_replaced_and_all_else_stays_to_the_letter() -> None:
    first = merged(OTHERS, "migprov-voice", [{"devices": "all", "mig-enabled": False}])
    assert merged(first, "migprov-voice", OURS) == merged(OTHERS, "migprov-voice", OURS)


def test_the_same_again_changes_not_a_letter() -> None:
    made = merged(OTHERS, "migprov-voice", OURS)
    assert merged(made, "migprov-voice", OURS) is made


def test_ours_is_replaced_also_where_it_is_the_last() -> None:
    last = OTHERS.replace("# the end\n", "  migprov-voice:\n    - devices: all\n      mig-enabled: false\n# the end\n")
    made = merged(last, "migprov-voice", OURS)
    assert yaml.safe_load(made)["mig-configs"]["migprov-voice"] == OURS
    assert made.startswith(OTHERS.removesuffix("# the end\n"))
    assert made.endswith("# the end\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: v1\nmig-configs: {}\n",
        "version: v1\nmig-configs:\n",
        'version: v1\nmig-configs: {all-disabled: [{"devices": all, "mig-enabled": false}]}\n',
        "version: v1\nmig-configs:\n  a: &x\n  - {devices: all, mig-enabled: false}\n  b: *x",
    ],
)
def test_files_of_other_forms(text: str) -> None:
    before = (yaml.safe_load(text) or {}).get("mig-configs") or {}
    after = yaml.safe_load(merged(text, "migprov-voice", OURS))
    assert after == {"version": "v1", "mig-configs": {**before, "migprov-voice": OURS}}


def test_names_stay_texts_for_readers_in_go() -> None:
    made = merged('mig-configs: {"1e3": [], "y": [], all: []}', "migprov-voice", OURS)
    assert ("'1e3': []" in made, "'y': []" in made, " all: []" in made) == (True, True, True)


NAMES = st.text("abc-.19", min_size=1, max_size=6).filter(lambda name: yaml.safe_load(f"{name}: 1") == {name: 1})
CONFIGS = st.dictionaries(NAMES, st.just([{"devices": "all", "mig-enabled": False}]), max_size=4)


@settings(deadline=None)
@given(CONFIGS, st.integers(0, 6), st.booleans())
def test_any_file_keeps_what_it_has(configs: dict[str, Any], indent: int, flow: bool) -> None:
    document = {"version": "v1", "mig-configs": configs}
    text = yaml.safe_dump(document, indent=indent + 2, default_flow_style=flow, sort_keys=False)
    for wanted in (OURS, [{"devices": "all", "mig-enabled": False}]):
        text = merged(text, "migprov-voice", wanted)
        assert yaml.safe_load(text) == {"version": "v1", "mig-configs": {**configs, "migprov-voice": wanted}}


@pytest.mark.parametrize("text", ["[1, 2]", "a: b: c", "mig-configs: [1]", "just words"])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(CannotSay, match="Nothing was changed"):
        merged(text, "migprov-voice", OURS)


def test_a_layout_in_the_managers_words() -> None:
    text = """
version: v1
mig-configs:
  voice:
    - devices: [1]
      mig-enabled: true
      mig-devices: {3g.40gb: 2}
    - device-filter: ["0x20B210DE"]
      devices: [2]
      mig-enabled: true
      mig-devices: {1c.3g.40gb: 3, 1g.10gb: 1}
    - devices: [0]
      mig-enabled: false
"""
    assert config(entries(text, "voice")) == yaml.safe_load(text)["mig-configs"]["voice"]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("devices: [GPU-6f31a63c-7d1e-5bb5-a6f1-3a4b2c1d0e9f]\n      mig-devices: {3g.40gb: 2}", "by index only"),
        ("devices: all\n      mig-devices: [{profile: 3g.40gb, start: 4}]", "places instances itself"),
    ],
)
def test_what_the_manager_has_no_words_for_is_refused(entry: str, why: str) -> None:
    text = f"version: v1\nmig-configs:\n  voice:\n    - mig-enabled: true\n      {entry}\n"
    with pytest.raises(CannotSay, match=why):
        config(entries(text, "voice"))


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_every_name_is_a_label_and_no_two_are_the_same(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])", config_name(one))
    assert (config_name(one) == config_name(other)) == (one == other)


def test_a_plain_name_stays_plain() -> None:
    assert config_name("voice") == "migprov-voice"
