"""The stand-in that simulated nodes have for nvidia-smi says what NVIDIA's program says, and ends as it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Answer, Machine

FIELDS = (
    "index,uuid,name,pci.bus_id,driver_version,mig.mode.current,mig.mode.pending,memory.total,memory.used,serial,count"
)
COMMANDS = [
    "-L",
    "--list-gpus",
    f"--query-gpu={FIELDS} --format=csv",
    f"--query-gpu={FIELDS} --format=csv,noheader",
    f"--query-gpu={FIELDS} --format=csv,nounits",
    f"--query-gpu {FIELDS} --format csv,noheader,nounits",
    "--query-gpu=gpu_uuid,gpu_name,gpu_bus_id --format=csv -i 1",
    "--query-gpu=index --format=csv --id=2,0",
    "--query-gpu=index --format=csv -i 0,9",
    "--query-gpu=index --format=csv -i 9",
    "--query-gpu=index --format=csv -i UUID1",
    "--query-gpu=index --format=csv -i UUID2,0",
    "--query-gpu=index --format=csv -i GPU-00000000-0000-0000-0000-000000000000",
    "--query-gpu=index,nonsense --format=csv",
    "--query-gpu=index",
    "--query-gpu=index --format=xml",
    "--query-gpu=index --format=csv,wrong",
    "-L -i 1",
    "-i",
    "--gpu-reset -i 9",
]
TROUBLE: dict[str, dict[str, object]] = {
    "lost": {"lost": True},
    "requires a reset": {"requires_reset": True},
    "does not tell its UUID": {"call": "nvmlDeviceGetUUID", "error": "RESET_REQUIRED"},
    "does not tell its memory": {"call": "nvmlDeviceGetMemoryInfo", "error": "UNKNOWN"},
    "has no serial number": {"call": "nvmlDeviceGetSerial", "error": "NOT_SUPPORTED"},
}


def both(machine: Machine, command: str) -> tuple[Answer, Answer]:
    gpus = machine.node.show()["gpus"]
    for index, gpu in enumerate(gpus):
        command = command.replace(f"UUID{index}", gpu["uuid"])
    stand_in = machine.node.directory / "bin" / "nvidia-smi"
    return machine.smi(*command.split()), machine.smi(*command.split(), program=stand_in)


def test_the_same(machine: Callable[..., Machine]) -> None:
    three = machine("2xA100-80GB,1xT4")
    three.did("-i", "0", "-mig", "1")
    three.did("mig", "-cgi", "3g.40gb,1g.10gb+me", "-C")
    three.did("mig", "-cgi", "2g.20gb")
    part = next(each for each in three.node.show()["gpus"][0]["instances"] if each["profile"] == "2g.20gb")
    three.did("mig", "-gi", str(part["gi_id"]), "-cci", "0")
    three.node.hold(1, 100)
    for command in COMMANDS:
        real, ours = both(three, command)
        assert ours == real, command
    assert three.did("-L").count("MIG ") == 3


@pytest.mark.parametrize("trouble", TROUBLE)
def test_the_same_in_trouble(machine: Callable[..., Machine], trouble: str) -> None:
    three = machine("3xA100-80GB")
    three.node.fault(1, **TROUBLE[trouble])  # type: ignore[arg-type]
    fields = "index,memory.used,mig.mode.current,serial"
    for command in [
        f"--query-gpu={fields} --format=csv",
        f"--query-gpu={fields} --format=csv -i 1",
        f"--query-gpu={fields} --format=csv -i 2",
        f"--query-gpu={fields} --format=csv -i UUID2",
        *(["-L"] if "UUID" not in trouble else []),
    ]:
        real, ours = both(three, command)
        assert ours == real, command


@pytest.mark.parametrize("driver", ["not-loaded", "mismatch"])
def test_the_same_without_a_driver(machine: Callable[..., Machine], driver: str) -> None:
    real, ours = both(machine("1xT4", driver=driver), "-L")
    assert ours == real
