"""The stand-in for nvidia-smi, as a program of its own that knows nothing of migprov."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from migprov.sim.driver import SimNode

SYSTEM_PATH = "/usr/bin:/bin"


def smi(node: SimNode, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(node.directory / "bin" / "nvidia-smi"), *arguments],
        env={"PATH": SYSTEM_PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


pytestmark = pytest.mark.skipif(
    not any((Path(folder) / "python3").exists() for folder in SYSTEM_PATH.split(":")), reason="no system Python 3"
)


def test_list_and_version(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xH200,1xT4")
    gpus = node.show()["gpus"]
    assert smi(node, "-L") == (
        0,
        f"GPU 0: NVIDIA H200 (UUID: {gpus[0]['uuid']})\nGPU 1: Tesla T4 (UUID: {gpus[1]['uuid']})\n",
    )
    assert smi(node, "--version") == (
        0,
        "NVIDIA-SMI version  : 580.159.04\nNVML version        : 580.159\n"
        "DRIVER version      : 580.159.04\nCUDA Version        : 13.0\n",
    )


def test_query(make_node: Callable[..., SimNode]) -> None:
    node = make_node("1xH200,1xT4")
    fields = "index,name,pci.bus_id,driver_version,mig.mode.current,mig.mode.pending,memory.total,memory.used"
    code, text = smi(node, f"--query-gpu={fields}", "--format=csv")
    assert code == 0
    assert text.splitlines() == [
        "index, name, pci.bus_id, driver_version, mig.mode.current, mig.mode.pending, memory.total [MiB], "
        "memory.used [MiB]",
        "0, NVIDIA H200, 00000000:07:00.0, 580.159.04, Disabled, Disabled, 143771 MiB, 0 MiB",
        "1, Tesla T4, 00000000:0F:00.0, 580.159.04, [N/A], [N/A], 15360 MiB, 0 MiB",
    ]
    assert smi(node, "--query-gpu=memory.total", "--format=csv,noheader,nounits", "-i", "1") == (0, "15360\n")
    assert smi(node, "--query-gpu=nonsense", "--format=csv")[0] == 2


@pytest.mark.parametrize("name", ["index", "uuid", "pci_bus_id"])
def test_reset(make_node: Callable[..., SimNode], name: str) -> None:
    node = make_node("2xA100-80GB")
    gpu = node.show()["gpus"][1]
    code, text = smi(node, "--gpu-reset", "-i", str(gpu[name]))
    assert (code, text) == (0, "GPU 00000000:0F:00.0 was successfully reset.\nAll done.\n")
    assert [gpu["resets"] for gpu in node.show()["gpus"]] == [0, 1]
    assert [write["call"] for write in node.writes()] == ["migprovSimResetGpu"]


def test_refused_resets(make_node: Callable[..., SimNode]) -> None:
    node = make_node("3xA100-80GB")
    node.hold(0, kind="monitor")
    node.fault(1, hypervisor=True)
    code, text = smi(node, "--gpu-reset", "-i", "0")
    assert code == 255
    assert "GPU 00000000:07:00.0: In use by another client" in text
    assert "1 device is currently being used by one or more other processes" in text
    code, text = smi(node, "--gpu-reset", "-i", "1")
    assert (code, "GPU 00000000:0F:00.0: Not Supported" in text) == (3, True)
    assert smi(node, "--gpu-reset", "-i", "7")[0] == 6
    assert [gpu["resets"] for gpu in node.show()["gpus"]] == [0, 0, 0]


@pytest.mark.parametrize(
    ("driver", "code", "text"),
    [
        ("not-loaded", 9, "couldn't communicate with the NVIDIA driver"),
        ("mismatch", 18, "Driver/library version mismatch"),
    ],
)
def test_no_driver(make_node: Callable[..., SimNode], driver: str, code: int, text: str) -> None:
    found, said = smi(make_node("1xT4", driver=driver), "-L")
    assert (found, bool(re.search(text, said))) == (code, True)


@pytest.mark.parametrize("arguments", [["--nonsense"], ["mig", "-lgi"], ["-i"]])
def test_usage(make_node: Callable[..., SimNode], arguments: list[str]) -> None:
    code, text = smi(make_node("1xT4"), *arguments)
    assert code == 255 and text.startswith("ERROR: Option ")
