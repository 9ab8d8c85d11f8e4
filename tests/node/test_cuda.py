"""verify with CUDA, on a CUDA library of the tests' own (a simulated node has none)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migprov.connect import call
from migprov.connect.local import LocalConnection
from migprov.connect.target import Target
from migprov.sim import build

from .conftest import Machine, entry

LAYOUT = [entry("3g.40gb", "3g.40gb", gpus=[0]), entry(gpus=[1], enabled=False)]


@pytest.fixture(scope="session")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("cuda") / "libcuda.so.1"
    source = Path(__file__).with_name("fake_libcuda.c")
    # As the simulated driver was compiled: what PyPI's ziglang compiles of its own for that, half a minute, is there.
    subprocess.run([*build.compiler(), "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


@pytest.fixture
def node(machine: Callable[..., Machine]) -> Machine:
    """GPU 0 with two 3g.40gb, GPU 1 whole."""
    made = machine("2xA100-80GB")
    made.ok("layout", entries=LAYOUT)
    return made


@pytest.fixture
def with_cuda(node: Machine, libcuda: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """The node with the library, which writes down who began with it; other variables through `fake`."""
    (node.sim.directory / "lib" / libcuda.name).symlink_to(libcuda)
    monkeypatch.setattr(node, "env", lambda real=node.env: {**real(), **fake(tmp_path)})
    return node


def fake(folder: Path, mode: str = "") -> dict[str, str]:
    """The variables of the library; a mode given once stays for the test."""
    kept = folder / "mode"
    if mode:
        kept.write_text(mode)
    return {"FAKE_CUDA": kept.read_text() if kept.exists() else "", "FAKE_CUDA_LOG": str(folder / "log")}


def verify(node: Machine, limit_s: float = 60) -> dict[str, Any]:
    params = {"entries": LAYOUT, "cuda": True}
    before = node.sim.write_count()
    reply = node.raw({"protocol": 1, "task": "verify", "params": params, "step_limit_s": limit_s})
    assert node.sim.write_count() == before
    return reply


def uuids(reply: dict[str, Any]) -> list[str]:
    first, second = reply["after"]["gpus"]
    return [ci["uuid"] for gi in first["instances"] for ci in gi["compute_instances"]] + [second["uuid"]]


def test_a_node_without_the_library_is_skipped_and_says_so(node: Machine) -> None:
    reply = verify(node)
    assert reply["error"] is None
    skipped = {"result": "skipped", "message": "this node has no libcuda.so.1"}
    assert list(reply["data"]["cuda"]) == uuids(reply)
    assert [{**one, "gpu": 0} for one in reply["data"]["cuda"].values()] == [{"gpu": 0, **skipped}] * 3


def test_each_device_is_tried_in_a_process_of_its_own(with_cuda: Machine, tmp_path: Path) -> None:
    reply = verify(with_cuda)
    assert reply["error"] is None
    assert [(one["gpu"], one["result"]) for one in reply["data"]["cuda"].values()] == [(0, "ok"), (0, "ok"), (1, "ok")]
    begun = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(uuid for _, uuid in begun) == sorted(uuids(reply))
    assert len({pid for pid, _ in begun}) == 3


def test_without_being_asked_nothing_is_tried(with_cuda: Machine, tmp_path: Path) -> None:
    assert "cuda" not in with_cuda.ok("verify", entries=LAYOUT)["data"]
    assert not (tmp_path / "log").exists()
    assert with_cuda.call("verify", entries=LAYOUT, cuda="yes")["error"]["code"] == "bad_request"


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("wrong", "memory does not hold what was written to it"),
        ("error", "cuInit: CUDA_ERROR_UNKNOWN (999)"),
        ("full", "cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY (2)"),
        ("other", "CUDA shows the device ffffffff"),
        ("crash", "ended with status -6 and no answer"),
    ],
)
def test_a_device_that_does_not_work_is_named(with_cuda: Machine, tmp_path: Path, mode: str, says: str) -> None:
    bad = uuids(verify(with_cuda))[1]
    fake(tmp_path, f"{mode}@{bad}")
    reply = verify(with_cuda)
    assert reply["error"]["code"] == "not_as_wanted"
    (difference,) = reply["error"]["differences"]
    assert difference.startswith(f"GPU 0: CUDA does not work on {bad}: ")
    assert says in difference
    assert [one["result"] for one in reply["data"]["cuda"].values()] == ["ok", "error", "ok"]


def test_a_device_that_hangs_is_left(with_cuda: Machine, tmp_path: Path) -> None:
    bad = uuids(verify(with_cuda))[0]
    (tmp_path / "log").unlink()
    fake(tmp_path, f"hang@{bad}")
    reply = verify(with_cuda, limit_s=2)
    assert reply["data"]["cuda"][bad]["message"] == "CUDA did not answer within 2 s"
    pids = {uuid: int(pid) for pid, uuid in (line.split() for line in (tmp_path / "log").read_text().splitlines())}
    with pytest.raises(ProcessLookupError):
        os.kill(pids[bad], 0)


def test_work_that_took_all_memory_is_no_fault_of_the_device(with_cuda: Machine, tmp_path: Path) -> None:
    busy = with_cuda.sim.hold(1, 79000)
    fake(tmp_path, f"full@{uuids(verify(with_cuda))[2]}")
    reply = verify(with_cuda)
    assert reply["error"] is None
    assert list(reply["data"]["cuda"].values())[2]["result"] == "skipped"
    with_cuda.sim.release(busy)


def test_cuda_waits_until_the_layout_is_right(with_cuda: Machine, tmp_path: Path) -> None:
    reply = with_cuda.call("verify", entries=[entry("7g.80gb", gpus=[0])], cuda=True)
    assert reply["error"]["code"] == "not_as_wanted"
    assert not (tmp_path / "log").exists()


def test_it_works_as_the_program_is_run_on_nodes(with_cuda: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the descriptors of the bootstrap: at the first call, and at later ones from what was compiled."""
    for name, value in with_cuda.env().items():
        monkeypatch.setenv(name, value)
    target = Target("localhost", connection="local")
    request = {"protocol": 1, "task": "verify", "params": {"entries": LAYOUT, "cuda": True}}
    for _ in range(2):
        reply = call.call(LocalConnection(target), target, request)
        assert reply["error"] is None
        assert [one["result"] for one in reply["data"]["cuda"].values()] == ["ok", "ok", "ok"]
