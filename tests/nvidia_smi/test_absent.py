"""Where NVIDIA's program wants more of the library than NVIDIA has made public: it is told Not Supported, says so, and
nothing is made up. docs/simulator.md lists the same."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from migprov.sim.driver import library

from .conftest import Machine

NOT_SUPPORTED = 3


def test_the_table_of_private_functions_says_not_supported() -> None:
    loaded = ctypes.CDLL(str(library()))
    table = ctypes.POINTER(ctypes.c_size_t)()
    assert loaded.nvmlInternalGetExportTable(ctypes.byref(table), (ctypes.c_ubyte * 16)()) == 0
    size = table[0]
    assert size % ctypes.sizeof(ctypes.c_void_p) == 0
    functions = [table[place] for place in range(1, size // ctypes.sizeof(ctypes.c_void_p))]
    assert len(functions) > 80
    assert {ctypes.CFUNCTYPE(ctypes.c_int)(function)() for function in functions} == {NOT_SUPPORTED}
    assert loaded.nvmlInternalGetExportTable(None, None) == 2


def test_reset(machine: Callable[..., Machine]) -> None:
    """It goes as far as to ask whether the card drives the screen."""
    one = machine("1xA100-80GB")
    answer = one.smi("--gpu-reset", "-i", "0")
    assert (answer.code, answer.text) == (
        3,
        "GPU Reset couldn't run because it could not be determined if GPU 00000000:07:00.0 is the primary GPU.\n",
    )
    assert one.node.show()["gpus"][0]["resets"] == 0
    assert one.node.write_count() == 0


def test_processes_are_not_listed(machine: Callable[..., Machine]) -> None:
    """Their memory is counted, though; and NVML's public calls, which other programs use, name them."""
    one = machine("1xA100-80GB")
    one.node.hold(0, 1000)
    said = one.did()
    assert "No running processes found" in said and "1000MiB" not in said
    assert one.did("--query-gpu=memory.used", "--format=csv,noheader") != "0 MiB\n"
    apps = one.did("--query-compute-apps=pid,used_memory", "--format=csv,noheader")
    assert apps == "[Uninitialized], [Uninitialized]\n"


def test_a_bus_id_does_not_select(machine: Callable[..., Machine]) -> None:
    """An index and a UUID do."""
    two = machine("2xA100-80GB")
    uuid = two.node.show()["gpus"][1]["uuid"]
    for name in ("1", uuid):
        assert two.did("--query-gpu=uuid", "--format=csv,noheader", "-i", name) == f"{uuid}\n"
    answer = two.smi("--query-gpu=uuid", "--format=csv", "-i", "00000000:0F:00.0")
    assert (answer.code, "Invalid PCI bus id format" in answer.text) == (255, True)


@pytest.mark.parametrize(
    ("command", "words"),
    [("topo -m", "Failed to run topology matrix"), ("dmon -c 1", "Not supported"), ("pmon -c 1", "Not supported")],
)
def test_other_commands(machine: Callable[..., Machine], command: str, words: str) -> None:
    answer = machine("2xA100-80GB").smi(*command.split())
    assert answer.code != 0 and words in answer.text
