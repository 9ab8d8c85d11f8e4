"""Requests to the node program: each is answered by one reply, and what is not a request changes nothing."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migprov.connect.command import understand
from migprov.sim.driver import SimNode

from .node_process import Ended, NodeProcess, node_process
from .values import ANYTHING, deep, near

# What a wrong request is told. None of these may come with a write.
REFUSALS = {
    *("bad_request", "unknown_gpu", "unknown_profile", "layout_impossible", "not_mig_capable", "mode_not_effective"),
    *("driver_too_old", "not_as_wanted", "no_history", "gpu_busy"),
}
TASKS = ("info", "driver", "verify", "history", "mig_mode", "reset", "instances", "drain", "layout", "rollback", "boot")
WORDS = (
    *("protocol", "task", "params", "check", "wait_s", "who", "step_limit_s", "at_boot"),
    *("entries", "gpus", "instances", "enabled", "force", "drain", "stop_on_error", "policy", "timeout_s", "agents"),
    *("cuda", "minimum", "profile", "start", "compute_instances", "devices", "device_filter", "mig_enabled", "source"),
)
PROFILES = st.sampled_from(
    ["1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb", "1g.10gb+me", "4g.40gb", "1g.5gb", "MIG 3g.40gb"]
)
STARTS = st.one_of(st.none(), st.integers(0, 7))
INSTANCE = st.one_of(
    PROFILES,
    st.fixed_dictionaries({"profile": PROFILES}, optional={"start": STARTS}),
    st.sampled_from(
        [{"profile": "3g.40gb", "compute_instances": ["1c.3g.40gb", {"profile": "2c.3g.40gb", "start": 1}]}]
    ),
)
INSTANCES = st.lists(INSTANCE, max_size=4)
GPUS = st.sampled_from(["all", [0], [1], [0, 1], ["0000:07:00.0"], ["GPU-none"]])
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"devices": GPUS, "mig_enabled": st.booleans()},
        optional={
            "instances": INSTANCES,
            "device_filter": st.sampled_from([None, ["0x20B210DE"]]),
            "source": st.just("f:1"),
        },
    ),
    min_size=1,
    max_size=2,
)
HOW = st.fixed_dictionaries(
    {}, optional={"policy": st.just("refuse"), "timeout_s": st.just(1), "agents": st.just(["a.service"])}
)
DRAIN = {
    "drain": st.one_of(st.sampled_from(["refuse", "terminate"]), HOW),
    "stop_on_error": st.booleans(),
}
PARAMS = st.fixed_dictionaries(
    {"entries": ENTRIES, "instances": INSTANCES, "enabled": st.booleans()},
    optional={
        "gpus": GPUS,
        "force": st.booleans(),
        "minimum": st.sampled_from([None, "470.57.02", "999.1"]),
        "processes": st.booleans(),
        "profiles": st.booleans(),
        "cuda": st.booleans(),
        **DRAIN,
    },
)
OWN = {
    "info": ("processes", "profiles"),
    "driver": ("minimum",),
    "verify": ("entries", "cuda"),
    "mig_mode": ("enabled", "gpus", *DRAIN),
    "reset": ("gpus", "force", *DRAIN),
    "instances": ("instances", "gpus", *DRAIN),
    "drain": ("gpus", *DRAIN),
    "layout": ("entries", *DRAIN),
    "rollback": tuple(DRAIN),
}


def request(task: str, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """A request with those of the parameters that the task has."""
    own = {name: value for name, value in params.items() if name in OWN.get(task, ())}
    return {"protocol": 1, "task": task, "params": own, "check": check, "wait_s": 0, "who": "fuzz"}


REQUEST = st.builds(request, st.sampled_from(TASKS), PARAMS, st.booleans())


class Node(NamedTuple):
    """A simulated node and the program on it."""

    sim: SimNode
    program: NodeProcess


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with tempfile.TemporaryDirectory() as folder:
        sim = SimNode.create(Path(folder) / "node", gpus="1xA100-80GB,1xH100,1xT4")
        (Path(folder) / "home").mkdir()
        with node_process({"PATH": os.environ["PATH"], "HOME": f"{folder}/home", **sim.env()}) as program:
            yield Node(sim, program)


def answered(node: Node, data: bytes) -> dict[str, Any]:
    """The one reply to a request, of the right shape; nothing on standard error, and no write that it does not tell."""
    before = node.sim.write_count()
    ended = node.program.run(data)
    assert ended.err == b"", ended.err.decode("utf-8", "replace")[-2000:]
    assert ended.status == 0
    assert ended.out.count(b"\n") == 1, ended.out[:2000]
    reply = understand(0, ended.out, b"", host="node")
    error = reply["error"]
    wrote = node.sim.write_count() - before
    refused_place = False
    if error is not None:
        assert error["code"] != "internal", error
        assert error["message"].strip()
        assert len(error["message"]) < 2000
        # Where a compute instance can start is known to the driver alone; what it refuses is taken back.
        refused_place = (
            error["code"] == "nvml" and "CreateComputeInstanceWithPlacement failed: Invalid" in error["message"]
        )
        assert error["code"] in REFUSALS or refused_place, error
    if wrote:
        assert reply["changed"] or refused_place
        assert not reply["check"]
        assert reply["steps"] or reply["error"]["undone"] or refused_place, reply["error"]
    return reply


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@given(near(REQUEST, WORDS))
def test_requests_near_a_valid_one(node: Node, value: Any) -> None:
    answered(node, as_json(_in_time(value)))


@given(REQUEST.map(as_json), st.integers(), st.integers(1, 5))
def test_bytes_near_a_valid_request(node: Node, data: bytes, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    text = bytearray(data)
    pieces = (
        b"[",
        b"}",
        b'"',
        b"\\ud800",
        b"\\u0000",
        b"\x00",
        b"\xff",
        b"1e999",
        b"NaN",
        b"-Infinity",
        b"9" * 5000,
        b",",
        b"//",
    )
    for _ in range(changes):
        at = chance.randrange(len(text) + 1)
        text[at : at + chance.randrange(4)] = chance.choice(pieces)
    answered(node, bytes(text))


@given(ANYTHING, st.sampled_from(WORDS))
def test_any_value(node: Node, value: Any, name: str) -> None:
    """As the request, and as one of its fields."""
    before = node.sim.write_count()
    assert answered(node, as_json(value))["error"]["code"] == "bad_request"
    answered(node, as_json(_in_time({"protocol": 1, "task": "info", name: value})))
    entries = [{"devices": "all", name: value}]
    answered(node, as_json({"protocol": 1, "task": "layout", "params": {"entries": entries}, "check": True}))
    assert node.sim.write_count() == before


def _in_time(value: Any) -> Any:
    """The same without waits that are asked for in earnest; NaN and the like stay."""
    if isinstance(value, dict):
        return {
            key: 1
            if key in ("timeout_s", "wait_s") and isinstance(each, int | float) and 0 < each < 1e6
            else _in_time(each)
            for key, each in value.items()
        }
    return [_in_time(each) for each in value] if isinstance(value, list) else value


def entry(devices: Any = "all", enabled: bool = False, **more: Any) -> bytes:
    """A request for a layout of one entry, in check mode."""
    return as_json(request("layout", {"entries": [{"devices": devices, "mig_enabled": enabled, **more}]}, True))


def instances(*wanted: Any) -> bytes:
    return entry([0], True, instances=list(wanted))


INSTANCES_OF_EACH_KIND = ["1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb"]
HEAVY = {
    "nothing": b"",
    "open lists": b"[" * 1_000_000,
    "open mappings": b'{"a":' * 500_000,
    "closed lists": b"[" * 900 + b"]" * 900,
    "more than it reads": b" " * (5 << 20),
    "a huge number": b'{"protocol": 1, "task": "info", "wait_s": ' + b"9" * 4_000_000 + b"}",
    "a huge fraction": b'{"protocol": 1, "task": "info", "wait_s": 0.' + b"9" * 4_000_000 + b"}",
    "a huge task": as_json({"protocol": 1, "task": "x" * 3_000_000}),
    "a huge protocol": as_json({"protocol": "\x80" * 600_000, "task": "info"}),
    "a deep protocol": as_json({"protocol": deep(900), "task": "info"}),
    "a deep source": entry(source=deep(900)),
    "a deep device": entry([deep(900)]),
    "a deep profile": as_json(request("instances", {"instances": [{"profile": deep(900)}]}, True)),
    "a deep policy": as_json(request("drain", {"drain": {"policy": deep(900)}}, True)),
    "a huge profile": as_json(request("instances", {"instances": ["1g." + "9" * 3_000_000 + "gb"]}, True)),
    "a huge selector": as_json(request("reset", {"gpus": ["G" * 3_000_000]}, True)),
    "many selectors": as_json(request("reset", {"gpus": [0] * 800_000}, True)),
    "as many selectors as may be": as_json(request("reset", {"gpus": [0] * 1024}, True)),
    "many entries": as_json(request("layout", {"entries": [{"mig_enabled": False}] * 60_000}, True)),
    "many instances": instances(*["1g.10gb"] * 300_000),
    "as many instances as may be": instances(*["1g.10gb"] * 1024),
    "many kinds of instances": instances(*INSTANCES_OF_EACH_KIND * 256),
    "many compute instances": instances({"profile": "7g.80gb", "compute_instances": ["1c.7g.80gb"] * 200_000}),
    "as many compute instances as may be": instances(
        {"profile": "7g.80gb", "compute_instances": ["1c.7g.80gb"] * 1024}
    ),
    "many filters": entry(device_filter=["0x1"] * 500_000),
    "many agents": as_json(request("drain", {"drain": {"agents": ["a.service"] * 300_000}}, True)),
    "a long who": as_json({**request("history", {}, False), "who": "\x1b[2J" * 500_000}),
    "a huge minimum": as_json(request("driver", {"minimum": "1." * 1_000_000}, True)),
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_request_takes_neither_long_nor_much_memory(node: Node, name: str) -> None:
    before = node.sim.write_count()
    answered(node, HEAVY[name])
    assert node.sim.write_count() == before


def test_the_limits_are_real(node: Node) -> None:
    """A request that is carried out is seen to write, and one that breaks the program is seen to."""
    before = node.sim.write_count()
    node.program.run(as_json(request("layout", {"entries": [{"devices": [1], "mig_enabled": False}]}, False)))
    reply = answered(node, as_json(request("layout", {"entries": [{"devices": [1], "mig_enabled": True}]}, False)))
    assert reply["changed"]
    assert node.sim.write_count() > before
    assert isinstance(node.program.run(b"x"), Ended)
