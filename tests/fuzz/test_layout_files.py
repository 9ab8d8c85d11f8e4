"""Layout files: whatever is in one, it is read or refused with a LayoutError, in bounded time and memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from migprov.layouts import LayoutError, loads

from .heavy import HEAVY
from .values import ANYTHING, ODD_TEXTS, near

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    *("version", "mig-configs", "devices", "device-filter", "mig-enabled", "mig-devices"),
    *("profile", "start", "count", "compute-instances", "3g.40gb", "1c.3g.40gb", "<<"),
)
PIECES = (
    *(b"&a ", b"*a", b"<<: ", b"!!python/object ", b"\t", b"\xff", b"---\n", b"%TAG ! x\n", b"'", b'"\\U0010FFFF"'),
    *(b"{", b"]", b"? ", b"|2\n", b"0x" + b"f" * 40, b"9" * 400),
)
DEVICES = st.sampled_from(["all", [0], [0, 1], ["GPU-8fa6c005-b4f4-beb4-2781-35e66d54881a"], ["00000000:07:00.0", 3]])
INSTANCE = st.sampled_from(
    [
        "1g.10gb",
        {"profile": "3g.40gb"},
        {"profile": "3g.40gb", "start": 4},
        {"profile": "1g.10gb", "count": 3},
        {"profile": "3g.40gb", "compute-instances": ["1c.3g.40gb", {"profile": "2c.3g.40gb", "start": 1}]},
        {"profile": "3g.40gb", "compute-instances": {"1c.3g.40gb": 2}},
    ]
)
MIG_DEVICES = st.one_of(
    st.dictionaries(st.sampled_from(["1g.10gb", "3g.40gb", "1c.3g.40gb", "1g.10gb+me"]), st.integers(0, 7), max_size=3),
    st.lists(INSTANCE, max_size=3),
)
ENTRY = st.fixed_dictionaries(
    {"devices": DEVICES, "mig-enabled": st.booleans()},
    optional={"mig-devices": MIG_DEVICES, "device-filter": st.sampled_from(["0x20B210DE", ["0x233510DE"], 548540638])},
)
CONFIGS = st.dictionaries(st.sampled_from(["a", "all-1g", "no"]), st.lists(ENTRY, max_size=2))
DOCUMENT = st.fixed_dictionaries({"version": st.just("v1"), "mig-configs": CONFIGS})
CONFIG_MAP = st.builds(
    lambda inner, kind: {"apiVersion": "v1", "kind": kind, "data": {"config.yaml": inner}},
    st.one_of(DOCUMENT.map(yaml.safe_dump), st.text(max_size=20)),
    st.sampled_from(["ConfigMap", "Secret", ""]),
)


def read(data: str | bytes) -> None:
    """Read or refuse; anything but a LayoutError, or one that says nothing, is a fault."""
    try:
        loads(data)
    except LayoutError as error:
        assert str(error).strip()
        assert len(str(error)) < 100_000
        for problem in error.problems:
            assert problem.line >= 0
            assert problem.message


def as_yaml(document: Any) -> str:
    try:
        return str(yaml.safe_dump(document, allow_unicode=True))
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError):
        return json.dumps(document)  # what YAML cannot say of it, JSON can


@given(near(st.one_of(DOCUMENT, CONFIG_MAP), WORDS), st.booleans())
def test_documents_near_a_valid_one(document: Any, in_json: bool) -> None:
    read(json.dumps(document) if in_json else as_yaml(document))


@given(DOCUMENT.map(as_yaml), st.integers(), st.integers(1, 6))
def test_bytes_near_a_valid_file(text: str, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    data = bytearray(text.encode())
    for _ in range(changes):
        at = chance.randrange(len(data) + 1)
        piece = chance.choice(PIECES)
        data[at : at + chance.randrange(4)] = piece
    read(bytes(data))


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    read(data)


@given(ANYTHING, st.sampled_from(ODD_TEXTS))
def test_any_document(value: Any, key: str) -> None:
    read(json.dumps(value))
    read(json.dumps({"version": "v1", "mig-configs": {key: value}}))
    entry = {"devices": value, "mig-enabled": True, "mig-devices": value}
    read(json.dumps({"version": "v1", "mig-configs": {"a": [entry]}}))


LIMIT_S, LIMIT_MIB = 60, 1024
READ = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({LIMIT_MIB} << 20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, ({LIMIT_S},) * 2)
from migprov.layouts import LayoutError, loads
try:
    loads(sys.stdin.buffer.read())
except LayoutError as error:
    assert len(str(error)) < 100_000, len(str(error))
"""


@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_file_takes_neither_long_nor_much_memory(name: str) -> None:
    # processor time, not the clock's: whatever else the machine does takes nothing from it
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input=HEAVY[name].encode()[: (1 << 20) + 1],
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()[-2000:]) == (0, "")
