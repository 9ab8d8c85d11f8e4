"""Workloads files: what is read, what is refused and in which words, and that what is written is read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from migprov.capacity import units, workloads_file
from migprov.capacity.model import Place, Workload
from migprov.capacity.products import ENGINES, all_products
from migprov.capacity.strict_file import StrictFileError
from migprov.errors import BadRequest

ROOT = Path(__file__).resolve().parents[2]
UUID = "GPU-7030bb98-b204-53b4-89e5-8d26bf2de25e"


def test_every_field_in_the_words_of_people() -> None:
    text = f"""
    version: v1
    workloads:
      - name: asr
        replicas: 3
        memory: 9.6 GiB
        headroom: 12.5%
        sms: 14
        share: 25%
        bandwidth: 1.2 TB/s
        engines: [decoder, jpeg]
        latency: interactive
        isolation: required
        shares-card: [tts]
        most-per-node: 2
        products: [A100-80GB, H200-141GB]
        runs-on:
          - {{host: gpu1, gpu: 0}}
          - {{host: gpu1, gpu: {UUID}, start: 4}}
      - name: tts
        memory: 13.4GB
        shares-card: false
    """
    asr, tts = workloads_file.loads(text).workloads
    assert asr == Workload(
        "asr", 9831, 3, 0.125, 14, 0.25, 1200.0, frozenset({"decoder", "jpeg"}), "interactive", "required", ("tts",), 2,
        ("A100-80GB", "H200-141GB"), (Place("gpu1", 0), Place("gpu1", UUID, 4)),
    )  # fmt: skip
    assert tts == Workload("tts", 12780, shares_card=False)  # 13.4e9 bytes are 12779.2 MiB
    assert (tts.headroom, tts.isolation, tts.replicas) == (0.2, "preferred", 1)


@pytest.mark.parametrize(
    ("text", "mib"),
    [("9.6 GiB", 9831), ("9830 MiB", 9830), ("13.4GB", 12780), ("1 MB", 1), ("0.5 TiB", 524288), ("80 GiB", 81920)],
)
def test_memory_is_rounded_up(text: str, mib: int) -> None:
    assert units.memory_mib(text) == mib


# What stands in the file -> the line that the error names, and what its text has.
BAD = {
    "memory: 9830": (4, "A bare number could be MiB or GiB: write 9830 MiB or 9830 GiB"),
    "memory: 9.6": (4, "write 9.6 MiB or 9.6 GiB"),
    "memory: 16Gi": (4, "Did you mean 16 GiB?"),
    "memory: 16 gib": (4, "Did you mean 16 GiB?"),
    "memory: 0 GiB": (4, "memory of workload 'a' must be the peak memory of one replica"),
    "memory: -4 GiB": (4, "not '-4 GiB'"),
    "memory:": (4, "not nothing"),
    "memory: 9999999 TiB": (4, "more than any GPU will have"),
    "headroom: 0.2": (5, "Did you mean 20%?"),
    "headroom: 20": (5, "Did you mean 20%?"),
    "headroom: -20%": (5, "headroom of workload 'a' must be"),
    "share: 120%": (5, "at most 100%"),
    "share: 0%": (5, "above 0%"),
    "sms: 0": (5, "sms of workload 'a' must be"),
    "sms: many": (5, "not 'many'"),
    "bandwidth: 500": (5, "Write 500 GB/s."),
    "bandwidth: 500 Gb/s": (5, "such as 500 GB/s"),
    "engines: decoder": (5, "Write [decoder]."),
    "engines: [decodr]": (5, "Did you mean decoder?"),
    "latency: interactiv": (5, "Did you mean interactive?"),
    "isolation: yes": (5, "required, preferred or none"),
    "replicas: 0": (5, "1 to 1000000"),
    "replicas: 1.5": (5, "not '1.5'"),
    "shares-card: [b]": (5, "shares a card with 'b', which is no workload of this file"),
    "shares-card: nobody": (5, "must be true (with anybody)"),
    "products: [A100-80]": (5, "there is no product 'A100-80'. Did you mean A100-80GB?"),
    "products: []": (5, "at least one"),
    "heedroom: 20%": (5, "unknown key 'heedroom' in workload 'a'. Did you mean headroom?"),
    "runs-on: [{host: gpu1}]": (5, "element 1 of runs-on of workload 'a' has no gpu"),
    "runs-on: [{host: gpu1, gpu: MIG-1}]": (5, "name the GPU that holds it"),
    "runs-on: [{host: gpu1, gpu: 0}, {host: gpu1, gpu: 1}]": (5, "It has 1 replica: give replicas."),
    "replicas: 2\n    runs-on: [{host: g, gpu: 0}, {host: g, gpu: 0}]": (6, "'a' and 'a' run in one place"),
    "memory: 1 GiB\n    memory: 2 GiB": (5, "duplicate key 'memory'"),
    "headroom: !!python/object:os.system {}": (5, "is not allowed here"),
}


@pytest.mark.parametrize("line", BAD)
def test_what_is_wrong_is_told_with_file_line_and_what_was_meant(line: str) -> None:
    at, words = BAD[line]
    memory = "" if line.startswith("memory") else "    memory: 1 GiB\n"
    text = f"version: v1\nworkloads:\n  - name: a\n{memory}    {line}\n"
    with pytest.raises(StrictFileError) as error:
        workloads_file.loads(text, "w.yml")
    assert isinstance(error.value, BadRequest)
    assert words in str(error.value)
    assert str(error.value).startswith(f"w.yml:{at}: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty. Begin with version: v1 and workloads."),
        ("workloads: []\n", "w.yml:1: workloads must be a list of workloads, at least one"),
        ("workload: []\n", "unknown key 'workload' in the file. Did you mean workloads?"),
        ("version: 2\nworkloads: [{name: a, memory: 1 GiB}]\n", "Write version: v1."),
        ("workloads: [{name: 7, memory: 1 GiB}]\n", "Put it in quotes."),
        ("workloads: [{memory: 1 GiB}]\n", "w.yml:1: workload 1 has no name"),
        ("workloads:\n- {name: a, memory: 1 GiB}\n- {name: a, memory: 1 GiB}\n", "w.yml:3: a second workload 'a'"),
        ("workloads: [{name: a, memory: 1 GiB}]\n---\nb: 1\n", "A workloads file holds one document."),
        ("\xff\xfe", "must be"),
        ("a: [\n", "not YAML"),
    ],
)
def test_whole_files_that_are_wrong(text: str, words: str) -> None:
    with pytest.raises(StrictFileError, match=r"w\.yml") as error:
        workloads_file.loads(text, "w.yml")
    assert words in str(error.value)


def test_all_mistakes_are_told_at_once() -> None:
    text = "workloads:\n- name: a\n  memory: 1\n- name: b\n  memory: 2\n"
    with pytest.raises(StrictFileError) as error:
        workloads_file.loads(text, "w.yml")
    assert [problem.line for problem in error.value.problems] == [3, 5]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StrictFileError, match="cannot be read: No such file or directory"):
        workloads_file.load(tmp_path / "none.yml")


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20) | st.sampled_from(
    ["true", "1.5", "0x10", "07:00.0", "null", "a: b", "- x", "voice/asr", "#1", "'", '"', "job 4711", "1e3", "=", "<<"]
)
PLACES = st.builds(
    Place,
    NAMES,
    st.integers(0, 255) | st.uuids().map(lambda uuid: f"GPU-{uuid}"),
    st.none() | st.integers(0, 63),
)
SHARES = st.floats(min_value=1e-6, max_value=1, allow_nan=False)


@st.composite
def some_workloads(draw: st.DrawFn) -> list[Workload]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    places = draw(st.lists(PLACES, max_size=6, unique=True))
    found = []
    for number, name in enumerate(names):
        own = tuple(places[number :: len(names)])
        found.append(
            Workload(
                name,
                draw(st.integers(1, 10**7)),
                replicas=draw(st.integers(max(1, len(own)), 10**6)),
                headroom=draw(st.floats(min_value=0, max_value=10).map(lambda x: round(x, 6))),
                sms=draw(st.none() | st.integers(1, 1024)),
                share=draw(st.none() | SHARES.map(lambda x: round(x, 6) or 1.0)),
                bandwidth_gbs=draw(st.none() | st.floats(min_value=0.001, max_value=10**6).map(lambda x: round(x, 3))),
                engines=frozenset(draw(st.sets(st.sampled_from(ENGINES)))),
                latency=draw(st.sampled_from([None, "interactive", "batch"])),
                isolation=draw(st.sampled_from(["required", "preferred", "none"])),
                shares_card=draw(st.booleans() | st.lists(st.sampled_from(names), unique=True).map(tuple)),
                most_per_node=draw(st.none() | st.integers(1, 10**6)),
                products=tuple(draw(st.lists(st.sampled_from(list(all_products())), unique=True, max_size=3))),
                runs_on=own,
            )
        )
    return found


@settings(max_examples=150, deadline=None)
@given(some_workloads())
def test_what_is_written_is_read_back(workloads: list[Workload]) -> None:
    text = workloads_file.dump(workloads, ["a note\nof two lines"])
    assert list(workloads_file.loads(text).workloads) == workloads
    # Other readers of YAML see the same names.
    assert [each["name"] for each in yaml.safe_load(text)["workloads"]] == [each.name for each in workloads]


def test_the_published_schema_is_a_schema_and_takes_the_example() -> None:
    schema = json.loads(workloads_file.schema_text())
    Draft202012Validator.check_schema(schema)
    example = yaml.safe_load((ROOT / "demo" / "workloads.yml").read_text())
    assert list(Draft202012Validator(schema).iter_errors(example)) == []
    assert [each.name for each in workloads_file.load(ROOT / "demo" / "workloads.yml").workloads] == [
        "language-model",
        "speech-to-text",
        "text-to-speech",
    ]
