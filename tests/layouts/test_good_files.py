"""What a layout file means: mig-parted's own form, and the wider one."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import jsonschema
import pytest

from migprov.layouts import LayoutError, load, loads, schema_text
from migprov.mig.wanted import Entry, WantedCompute, WantedInstance, entries_from_json

SPEECH = """\
version: v1
mig-configs:
  # two speech models on one card
  speech:
    - devices: [1]
      mig-enabled: true
      mig-devices:
        "3g.40gb": 2
    - devices: [0, 2]
      mig-enabled: false
  off:
    - devices: all
      mig-enabled: false
"""


def one(mig_devices: str, more: str = "") -> Entry:
    text = f"version: v1\nmig-configs:\n  a:\n    - devices: all\n      mig-enabled: true\n{more}"
    body = textwrap.indent(textwrap.dedent(mig_devices), "        ")
    (entry,) = loads(f"{text}      mig-devices:\n{body}\n").layout("a").entries
    return entry


def profiles(entry: Entry) -> list[str]:
    return [instance.profile for instance in entry.instances]


def test_a_file_of_mig_parted(tmp_path: Path) -> None:
    path = tmp_path / "layouts.yml"
    path.write_text(SPEECH)
    layouts = load(path)
    assert layouts.names == ("speech", "off")
    assert layouts.layout("speech").name == "speech"
    assert layouts.layout("speech").entries == (
        Entry((1,), True, (WantedInstance("3g.40gb"),) * 2, None, f"{path}:5"),
        Entry((0, 2), False, (), None, f"{path}:9"),
    )
    assert layouts.layout("off").entries == (Entry("all", False, (), None, f"{path}:12"),)


def test_what_is_sent_is_what_the_node_reads() -> None:
    layout = loads(SPEECH).layout("speech")
    assert tuple(entries_from_json(json.loads(json.dumps(layout.to_json())))) == layout.entries


CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: custom-mig-parted-config
data:
  config.yaml: |  # the layouts

""" + textwrap.indent(SPEECH, "    ")


def test_a_config_map_carries_its_own_lines() -> None:
    layouts = loads(CONFIG_MAP, "map.yml")
    lines = CONFIG_MAP.splitlines()
    for entry in (*layouts.layout("speech").entries, *layouts.layout("off").entries):
        line = int(entry.source.removeprefix("map.yml:"))
        assert lines[line - 1].lstrip().startswith("- devices")


def test_an_error_in_a_config_map_has_the_line_of_the_manifest() -> None:
    text = CONFIG_MAP.replace('"3g.40gb": 2', '"3g.40g": 2')
    with pytest.raises(LayoutError) as caught:
        loads(text, "map.yml")
    assert caught.value.line is not None
    assert '"3g.40g": 2' in text.splitlines()[caught.value.line - 1]
    broken = CONFIG_MAP.replace("mig-devices:", "mig-devices: {")
    with pytest.raises(LayoutError, match="not YAML") as caught:
        loads(broken, "map.yml")
    assert caught.value.line is not None
    assert caught.value.line > 12


def test_a_config_map_as_kubectl_prints_it_in_json() -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"other.yaml": SPEECH}}
    text = json.dumps(manifest, indent=2)
    assert loads(text).names == ("speech", "off")
    assert loads(text).layout("off").entries[0].source == "<layout>:5"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"kind": "Pod"}, "a manifest of kind 'Pod' holds no layouts"),
        ({"kind": "ConfigMap"}, "no data under config.yaml"),
        ({"kind": "ConfigMap", "data": {"a": "x", "b": "y"}}, "Its keys: a, b."),
        ({"kind": "ConfigMap", "data": {"a": "[]"}}, "must be a mapping"),
    ],
)
def test_other_manifests_are_refused(manifest: dict[str, object], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        loads(json.dumps(manifest))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0x20B210DE", ("0x20B210DE",)),
        ('"0x20b210de"', ("0x20B210DE",)),
        ("[0x20B210DE, '0X20b510de']", ("0x20B210DE", "0x20B510DE")),
        ("[]", None),
        ('""', None),
    ],
)
def test_device_filters(written: str, read: tuple[str, ...] | None) -> None:
    assert one("{}", f"      device-filter: {written}\n").device_filter == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("all", "all"),
        ("[3, 0]", (3, 0)),
        ("[GPU-7F0E6A28-6a42-5c3e-9d4c-3b0a4f5d9c11]", ("GPU-7f0e6a28-6a42-5c3e-9d4c-3b0a4f5d9c11",)),
        # YAML 1.1 would take the next one for a number of base 60
        ("[07:00.0]", ("00000000:07:00.0",)),
        ("[0000:c1:00.0, 00000000:0F:00.0]", ("00000000:C1:00.0", "00000000:0F:00.0")),
    ],
)
def test_devices(written: str, read: object) -> None:
    text = f"version: v1\nmig-configs:\n  a:\n    - {{devices: {written}, mig-enabled: no}}\n"
    assert loads(text).layout("a").entries[0].devices == read


def test_a_count_of_zero_is_dropped() -> None:
    assert profiles(one("{1g.10gb: 7, 2g.20gb: 0}")) == ["1g.10gb"] * 7
    assert profiles(one("[{profile: 1g.10gb, count: 0}, 2g.20gb]")) == ["2g.20gb"]


def test_a_compute_instance_that_takes_all_is_its_gpu_instance() -> None:
    assert one("{7c.7g.80gb: 1}") == one("{7g.80gb: 1}")
    assert profiles(one("{1c.1g.10gb: 3, 1g.10gb: 2}")) == ["1g.10gb"] * 5


def inner(entry: Entry) -> list[tuple[str, ...] | None]:
    return [
        None if instance.compute_instances is None else tuple(ci.profile for ci in instance.compute_instances)
        for instance in entry.instances
    ]


def test_counts_of_compute_instances_share_gpu_instances() -> None:
    packed = one("{1c.3g.40gb: 4, 2c.3g.40gb: 1, 3g.40gb: 1}")
    assert set(profiles(packed)) == {"3g.40gb"}
    assert inner(packed) == [None, ("2c.3g.40gb", "1c.3g.40gb"), ("1c.3g.40gb",) * 3]


def test_counts_of_different_profiles_do_not_share() -> None:
    packed = one("{1c.2g.20gb: 1, 1c.3g.40gb: 1, 1c.1g.10gb+me: 1}")
    assert profiles(packed) == ["2g.20gb", "3g.40gb", "1g.10gb+me"]
    assert inner(packed) == [("1c.2g.20gb",), ("1c.3g.40gb",), None]


def test_the_list_form() -> None:
    entry = one("""\
        - 1g.10gb
        - {profile: 2g.20gb, count: 2}
        - profile: 3g.40gb
          start: 4
          compute-instances:
            - 1c.3g.40gb
            - {profile: 2c.3g.40gb, start: 1}
        - profile: 3g.40gb
          compute-instances: {1c.3g.40gb: 2, 2c.3g.40gb: 0}
        - {profile: 4g.40gb, compute-instances: []}
    """)
    assert entry.instances == (
        WantedInstance("1g.10gb"),
        WantedInstance("2g.20gb"),
        WantedInstance("2g.20gb"),
        WantedInstance("3g.40gb", 4, (WantedCompute("1c.3g.40gb"), WantedCompute("2c.3g.40gb", 1))),
        WantedInstance("3g.40gb", None, (WantedCompute("1c.3g.40gb"),) * 2),
        WantedInstance("4g.40gb", None, ()),
    )


def test_a_profile_of_a_card_that_is_not_known_is_left_to_the_node() -> None:
    assert profiles(one("{6g.999gb: 1}")) == ["6g.999gb"]


def test_anchors_and_merge_keys() -> None:
    text = """\
version: v1
mig-configs:
  a:
    - &cut
      devices: [0]
      mig-enabled: true
      mig-devices: {3g.40gb: 2}
    - <<: *cut
      devices: [1]
  b:
    - <<: [{devices: [5]}, *cut]
"""
    layouts = loads(text)
    first, second = layouts.layout("a").entries
    assert (second.devices, second.instances) == ((1,), first.instances)
    assert layouts.layout("b").entries[0].devices == (5,)
    with pytest.raises(LayoutError, match="<< must name a mapping"):
        loads("version: v1\n<<: 3\n")


def test_byte_order_mark_and_windows_lines() -> None:
    data = b"\xef\xbb\xbf" + SPEECH.replace("\n", "\r\n").encode()
    assert loads(data, "w.yml").layout("off").entries[0].source == "w.yml:12"


def test_the_schema_is_one() -> None:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
