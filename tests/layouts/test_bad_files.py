"""Each way in which a layout file can be wrong: the line, what is wrong, and what was probably meant."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from migprov.errors import BadRequest
from migprov.layouts import LayoutError, load, loads


def entry(body: str, devices: str = "all", enabled: str = "true") -> str:
    """A file whose one entry has ``body`` below line 6 (``mig-devices:``)."""
    head = f"version: v1\nmig-configs:\n  speech:\n    - devices: {devices}\n      mig-enabled: {enabled}\n"
    return head + textwrap.indent(textwrap.dedent(body).lstrip("\n"), "      ")


def problem(text: str | bytes) -> LayoutError:
    with pytest.raises(LayoutError) as caught:
        loads(text, "layouts.yml")
    return caught.value


BAD = {
    "empty": ("", 1, "the file is empty", "version: v1"),
    "a list": ("- a\n", 1, "the file must be a mapping with version: v1", ""),
    "a word": ("hello", 1, "the file must be a mapping", ""),
    "no version": (
        "mig-configs:\n  a:\n    - devices: all\n      mig-enabled: false\n",
        1,
        "has no version",
        "version: v1",
    ),
    "version 2": ("version: v2\nmig-configs: {a: [{devices: all, mig-enabled: false}]}\n", 1, "version must be v1", ""),
    "no layouts": ("version: v1\nmig-configs: {}\n", 2, "at least one, not {}", ""),
    "layouts left empty": ("version: v1\nmig-configs:\n", 2, "mig-configs must be a mapping", ""),
    "empty layout": ("version: v1\nmig-configs:\n  a: []\n", 3, "layout 'a' must be a list of entries", ""),
    "top-level typo": ("version: v1\nmig-config:\n  a: []\n", 2, "unknown key 'mig-config'", "mig-configs?"),
    "entry is a word": ("version: v1\nmig-configs:\n  a:\n    - all\n", 4, "entry 1 of layout 'a' must be", ""),
    "typo in a key": (entry("mig-device: {}"), 6, "unknown key 'mig-device'", "Did you mean mig-devices?"),
    "underscore": (entry("mig_devices: {}"), 6, "unknown key 'mig_devices'", "Did you mean mig-devices?"),
    "strange key": (entry("mig-devices: {}\ncolour: red"), 7, "unknown key 'colour'", "Known: devices, device-filter"),
    "no devices": ("version: v1\nmig-configs:\n  a:\n    - mig-enabled: false\n", 4, "has no devices", "devices: all"),
    "no mode": ("version: v1\nmig-configs:\n  a:\n    - devices: all\n", 4, "has no mig-enabled", "true"),
    "mode without instances": (entry(""), 4, "has no mig-devices", "mig-devices: {}"),
    "instances left empty": (entry("mig-devices:"), 6, "mig-devices must be a mapping", "{}"),
    "mode is a word": (entry("mig-devices: {}", enabled="ture"), 5, "true or false, not 'ture'", "Did you mean true?"),
    "instances without mode": (entry("mig-devices: {3g.40gb: 1}", enabled="false"), 6, "left out or empty", "drop"),
    "instances in a list without mode": (
        entry("mig-devices: [3g.40gb]", enabled="false"),
        6,
        "left out or empty",
        "drop mig-devices",
    ),
    "devices none": (entry("mig-devices: {}", devices=""), 4, "devices must be all", "all"),
    "devices misspelt": (entry("mig-devices: {}", devices="al"), 4, "devices must be all", "Did you mean all?"),
    "devices a number": (entry("mig-devices: {}", devices="7"), 4, "devices must be all", "Write [7]"),
    "devices empty": (entry("mig-devices: {}", devices="[]"), 4, "at least one, not []", ""),
    "index negative": (entry("mig-devices: {}", devices="[0, -1]"), 4, "a GPU index from 0 to 1023, not -1", ""),
    "index in quotes": (entry("mig-devices: {}", devices="['0']"), 4, "not '0'", "Write 0 without quotes."),
    "index a boolean": (entry("mig-devices: {}", devices="[true]"), 4, "a GPU index", ""),
    "all in a list": (entry("mig-devices: {}", devices="[all]"), 4, "not 'all'", "Write devices: all"),
    "MIG UUID": (
        entry("mig-devices: {}", devices="[MIG-7f0e6a28-6a42-5c3e-9d4c-3b0a4f5d9c11]"),
        4,
        "a UUID (GPU-...)",
        "the GPU",
    ),
    "UUID too short": (entry("mig-devices: {}", devices="[GPU-1234]"), 4, "not 'GPU-1234'", "nvidia-smi -L"),
    "index twice": (entry("mig-devices: {}", devices="[0, 1, 0]"), 4, "GPU 0 is named twice", "once"),
    "bus id twice": (
        entry("mig-devices: {}", devices="['07:00.0', '00000000:07:00.0']"),
        4,
        "00000000:07:00.0 is named twice",
        "",
    ),
    "filter too short": (entry("mig-devices: {}\ndevice-filter: 0x20B2"), 7, "must be a PCI device id", ""),
    "filter word too short": (
        entry("mig-devices: {}\ndevice-filter: '20B2'"),
        7,
        "must be a PCI device id",
        "Did you mean 0x20B210DE?",
    ),
    "filter without 0x": (
        entry("mig-devices: {}\ndevice-filter: [20b210de]"),
        7,
        "must be a PCI device id",
        "Did you mean 0x20B210DE?",
    ),
    "filter turned round": (
        entry("mig-devices: {}\ndevice-filter: 0x10DE20B2"),
        7,
        "has the vendor first",
        "Did you mean 0x20B210DE?",
    ),
    "filter of another vendor": (entry("mig-devices: {}\ndevice-filter: '0x740F1002'"), 7, "no NVIDIA device", "10DE"),
    "filter a product name": (
        entry("mig-devices: {}\ndevice-filter: A100"),
        7,
        "must be a PCI device id",
        "migprov info",
    ),
    "profile id": (entry("mig-devices:\n  19: 2"), 7, "on an A100-80GB 19 is 1g.10gb and 3g.40gb is 9", ""),
    "profile id in quotes": (entry('mig-devices:\n  "9": 2'), 7, "9 is a profile id, not a name", ""),
    "profile id in a list": (entry("mig-devices:\n  - profile: 19"), 7, "19 is a profile id, not a name", ""),
    "profile id bare in a list": (entry("mig-devices:\n  - 19"), 7, "19 is a profile id, not a name", ""),
    "profile without a point": (entry("mig-devices:\n  3g40gb: 1"), 7, "'3g40gb' is not a MIG profile", "3g.40gb?"),
    "profile cut short": (entry("mig-devices:\n  1g.10g: 1"), 7, "'1g.10g' is not a MIG profile", "1g.10gb?"),
    "profile with too much": (entry("mig-devices: {4c.3g.40gb: 1}"), 6, "4 compute slices", ""),
    "compute size of no GPU": (entry("mig-devices: {5c.7g.80gb: 1}"), 6, "5c.7g.80gb is on no GPU", ""),
    "count negative": (entry("mig-devices:\n  3g.40gb: -1"), 7, "the count of 3g.40gb must be a whole number", ""),
    "count a boolean": (entry("mig-devices:\n  3g.40gb: true"), 7, "from 0 to 64, not true", ""),
    "count a fraction": (entry("mig-devices:\n  3g.40gb: 1.5"), 7, "not '1.5'", ""),
    "count a word": (entry("mig-devices:\n  3g.40gb: two"), 7, "not 'two'", ""),
    "count none": (entry("mig-devices:\n  3g.40gb:"), 7, "not nothing", ""),
    "count enormous": (entry("mig-devices:\n  3g.40gb: 1000000000"), 7, "from 0 to 64", ""),
    "media twice": (entry("mig-devices:\n  1g.10gb+me: 2"), 6, "2 instances ask for the media", "Write +me once"),
    "media in two ways": (
        entry("mig-devices:\n  1g.24gb+me: 1\n  2g.48gb+me.all: 1"),
        6,
        "1g.24gb+me, 2g.48gb+me.all",
        "once",
    ),
    "key twice": (entry("mig-devices:\n  3g.40gb: 1\n  3g.40gb: 2"), 8, "duplicate key '3g.40gb'", "line 7 already"),
    "layout twice": ("version: v1\nmig-configs:\n  a: []\n  a: []\n", 4, "duplicate key 'a'", "line 3 already"),
    "list element unknown key": (
        entry("mig-devices:\n  - profile: 3g.40gb\n    begin: 4"),
        8,
        "unknown key 'begin'",
        "Known: profile, start",
    ),
    "list element typo": (
        entry("mig-devices:\n  - {profile: 3g.40gb, strt: 4}"),
        7,
        "unknown key 'strt'",
        "Did you mean start?",
    ),
    "list element without profile": (entry("mig-devices:\n  - {start: 4}"), 7, "has no profile", "3g.40gb"),
    "start negative": (entry("mig-devices:\n  - {profile: 3g.40gb, start: -4}"), 7, "the number of a slice", ""),
    "one start for two": (
        entry("mig-devices:\n  - {profile: 3g.40gb, start: 4, count: 2}"),
        7,
        "cannot all have start 4",
        "each start",
    ),
    "compute profile in a list": (
        entry("mig-devices:\n  - 1c.3g.40gb"),
        7,
        "the profile of a compute instance",
        "profile: 3g.40gb with compute-instances: [1c.3g.40gb]",
    ),
    "compute of another profile": (
        entry("mig-devices:\n  - profile: 3g.40gb\n    compute-instances: [1c.2g.20gb]"),
        8,
        "does not belong to a 3g.40gb",
        "Did you mean 1c.3g.40gb?",
    ),
    "compute too many": (
        entry("mig-devices:\n  - profile: 3g.40gb\n    compute-instances: {1c.3g.40gb: 4}"),
        8,
        "take 4 slices",
        "fewer",
    ),
    "compute beyond": (
        entry("mig-devices:\n  - profile: 3g.40gb\n    compute-instances: [{profile: 2c.3g.40gb, start: 2}]"),
        8,
        "ends beyond the 3 compute slices",
        "Its last start is 1.",
    ),
    "compute overlapping": (
        entry("""
        mig-devices:
          - profile: 3g.40gb
            compute-instances:
              - {profile: 2c.3g.40gb, start: 0}
              - {profile: 1c.3g.40gb, start: 1}
        """),
        9,
        "overlaps",
        "",
    ),
    "tab": ("version: v1\nmig-configs:\n\ta: 1\n", 3, "not YAML", "spaces, not with tabs"),
    "open bracket": (entry("mig-devices: {3g.40gb: 1"), 6, "not YAML", "Check"),
    "two documents": ("version: v1\n---\nversion: v1\n", 2, "a second YAML document", "one document"),
    "not UTF-8": (b"version: v1\n# caf\xe9\nmig-configs: {}\n", 2, "byte 0xe9 is not UTF-8", "UTF-8"),
    "control character": ("version: v1\nx: \x00\n", 2, "not YAML", ""),
    "python object": ("version: v1\nx: !!python/object/apply:os.system [id]\n", 2, "tag", "without a tag"),
    "own tag": ("version: !v v1\n", 1, "tag !v is not allowed", ""),
    "key is a list": ("version: v1\n? [a, b]\n: c\n", 2, "a key must be a plain word", ""),
    "unknown alias": ("version: *v\n", 1, "alias *v names no anchor", ""),
    "endless alias": ("version: v1\nx: &a [*a]\n", 2, "alias *a names no anchor", ""),
    "escape beyond Unicode": ('version: "\\UFFFFFFFF"\n', 1, "not YAML", ""),
}


@pytest.mark.parametrize(("text", "line", "message", "hint"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_with_line_and_hint(text: str | bytes, line: int, message: str, hint: str) -> None:
    error = problem(text)
    assert message in error.message
    assert hint in error.hint
    assert error.line == line or (error.line is None and line == 0)
    assert str(error).startswith(f"layouts.yml:{line}: ")
    assert isinstance(error, BadRequest)


def overlapping(first: str, second: str) -> str:
    return f"""version: v1
mig-configs:
  a:
    - {{{first}, mig-enabled: false}}
    - {{{second}, mig-enabled: true, mig-devices: {{}}}}
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("devices: [0, 1]", "devices: [1, 2]"),
        ("devices: all", "devices: all"),
        ("devices: all", "devices: [3]"),
        ("devices: [2]", "devices: all"),
        ("devices: ['07:00.0']", "devices: ['0000:07:00.0']"),
        ("devices: [0], device-filter: 0x20B210DE", "devices: [0]"),
        ("devices: all, device-filter: [0x20b210de, 0x20B510DE]", "devices: all, device-filter: 0x20B210DE"),
    ],
)
def test_two_entries_may_not_name_the_same_gpu(first: str, second: str) -> None:
    error = problem(overlapping(first, second))
    assert error.line == 5
    assert "line 4" in error.message
    assert "one entry" in error.hint


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("devices: [0]", "devices: [1]"),
        ("devices: all, device-filter: 0x20B710DE", "devices: all, device-filter: 0x20B210DE"),
        ("devices: [0]", "devices: ['07:00.0']"),
    ],
)
def test_entries_that_need_not_meet_are_left_to_the_node(first: str, second: str) -> None:
    assert len(loads(overlapping(first, second)).layout("a").entries) == 2


def test_every_problem_of_a_file_is_told_in_the_order_of_its_lines() -> None:
    error = problem("version: v1\nmig-configs:\n  b:\n    - {devices: al, mig-enabled: false}\n  a: []\n")
    assert [found.line for found in error.problems] == [4, 5]
    assert [line.split(" ")[0] for line in str(error).splitlines()] == ["layouts.yml:4:", "layouts.yml:5:"]


def test_aliases_cannot_expand_without_bound() -> None:
    levels = [f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 12)]
    error = problem("version: v1\nb0: &b0 [x, x]\n" + "\n".join(levels))
    assert "200000 values" in error.message


def test_nesting_is_bounded_also_through_aliases() -> None:
    assert "32 levels" in problem("version: " + "[" * 5000).message
    chain = [f"b{n}: &b{n} {'[' * 10}*b{n - 1}{']' * 10}" for n in range(1, 9)]
    assert "32 levels" in problem("version: v1\nb0: &b0 x\n" + "\n".join(chain)).message


def test_a_file_of_another_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yml"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(LayoutError, match="larger than 1048576 bytes"):
        load(path)


@pytest.mark.parametrize("name", ["missing.yml", ".", "a\0b"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(LayoutError, match="cannot be read"):
        load(f"{tmp_path}/{name}")
    with pytest.raises(LayoutError, match="cannot be read: No such file"):
        load("/nowhere/layouts.yml")


def test_an_unknown_layout_is_refused_with_the_nearest_names() -> None:
    layouts = loads("version: v1\nmig-configs:\n  speech: [{devices: all, mig-enabled: false}]\n", "layouts.yml")
    with pytest.raises(LayoutError) as caught:
        layouts.layout("spech")
    assert str(caught.value) == "layouts.yml: no layout named 'spech'. Did you mean speech?"
    with pytest.raises(LayoutError, match="Known: speech"):
        layouts.layout("xyz")
