"""What NVIDIA's program says when the simulated driver refuses, in NVIDIA's words and with NVIDIA's exit codes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Machine


def test_busy_card(machine: Callable[..., Machine]) -> None:
    """Ampere keeps the wish, and the words name what to do."""
    one = machine("1xA100-80GB")
    holder = one.node.hold(0, 100)
    answer = one.smi("-i", "0", "-mig", "1")
    assert answer.code == 0  # NVIDIA's: it has only warned
    assert answer.text.startswith(
        "Warning: MIG mode is in pending enable state for GPU 00000000:07:00.0:In use by another client\n"
        "00000000:07:00.0 is currently being used by one or more other processes"
    )
    assert one.did("--query-gpu=mig.mode.current,mig.mode.pending", "--format=csv,noheader") == "Disabled, Enabled\n"
    one.node.release(holder)
    assert one.did("-i", "0", "-mig", "1") == "Enabled MIG Mode for GPU 00000000:07:00.0\nAll done.\n"


def test_hypervisor(machine: Callable[..., Machine]) -> None:
    """Word for word as NVIDIA's guide shows it of a virtual machine."""
    one = machine("1xA100-80GB")
    one.node.fault(0, hypervisor=True)
    assert one.did("-mig", "1").splitlines() == [
        "Warning: MIG mode is in pending enable state for GPU 00000000:07:00.0:Not Supported",
        "Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU 00000000:07:00.0",
        "All done.",
    ]
    one.node.reboot()
    assert one.did("--query-gpu=mig.mode.current", "--format=csv,noheader") == "Enabled\n"


def test_a_card_without_mig(machine: Callable[..., Machine]) -> None:
    two = machine("1xT4,1xA100-80GB")
    assert two.did("-mig", "1").splitlines() == [
        "Unable to enable MIG Mode for GPU 00000000:07:00.0: Not Supported",
        "Treating as warning and moving on.",
        "Enabled MIG Mode for GPU 00000000:0F:00.0",
        "All done.",
    ]
    assert two.did("--query-gpu=mig.mode.current", "--format=csv,noheader").splitlines() == ["[N/A]", "Enabled"]


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        ("9:4,9:4", 23, "profile 9:4: Insufficient Resources"),
        ("9:2", 2, "profile 9:2: Invalid Argument"),
        ("99", 2, "profile 99: Invalid Argument"),
        ("3g.41gb", 2, "profile 3g.41gb: Invalid Argument"),
        ("20,20", 23, "profile 20: Insufficient Resources"),
    ],
)
def test_what_does_not_fit(machine: Callable[..., Machine], asked: str, code: int, reason: str) -> None:
    one = machine("1xA100-80GB")
    one.did("-mig", "1")
    answer = one.smi("mig", "-cgi", asked)
    assert answer.code == code
    assert f"Unable to create a GPU instance on GPU  0 using {reason}\n" in answer.text
    assert len(one.placements()) == asked.count(",")


def test_a_process_in_an_instance(machine: Callable[..., Machine]) -> None:
    one = machine("1xA100-80GB", rotated=False)
    one.did("-mig", "1")
    one.did("mig", "-cgi", "9:0", "-C")
    uuid = one.node.show()["gpus"][0]["instances"][0]["compute_instances"][0]["uuid"]
    one.node.hold(None, 100, mig_uuid=uuid)
    answer = one.smi("mig", "-dci")
    assert (answer.code, answer.text.splitlines()[0]) == (
        19,
        "Unable to destroy compute instance ID  0 from GPU  0 GPU instance ID  1: In use by another client",
    )
    assert one.placements() == [("3g.40gb", 0)]


def test_who_may(machine: Callable[..., Machine], other_user: int) -> None:
    one = machine("1xA100-80GB")
    one.did("-mig", "1")
    one.did("mig", "-cgi", "9", "-C")
    for arguments in (["mig", "-lgi"], ["mig", "-cgi", "9"], ["mig", "-dci"], ["-mig", "0"]):
        answer = one.smi(*arguments, user=other_user)
        assert (answer.code, "Insufficient Permissions" in answer.text) == (4, True), answer.text
    assert one.smi("-L", user=other_user) == one.smi("-L")
    assert len(one.placements()) == 1


def test_faults(machine: Callable[..., Machine]) -> None:
    """An error that is played into the driver reaches the program as one of a real driver would."""
    one = machine("1xA100-80GB")
    one.did("-mig", "1")
    one.node.fault(0, call="nvmlDeviceCreateGpuInstance", error="IN_USE", times=1)
    answer = one.smi("mig", "-cgi", "9")
    assert (answer.code, "profile 9: In use by another client" in answer.text) == (19, True)
    one.did("mig", "-cgi", "9")
    assert one.placements() == [("3g.40gb", one.placements()[0][1])]


def test_persistence(machine: Callable[..., Machine]) -> None:
    one = machine("1xA100-80GB")
    assert one.did("-pm", "0") == "Disabled persistence mode for GPU 00000000:07:00.0.\nAll done.\n"
    assert one.did("--query-gpu=persistence_mode", "--format=csv,noheader") == "Disabled\n"


@pytest.mark.parametrize(
    ("driver", "code", "words"),
    [
        ("not-loaded", 9, "couldn't communicate with the NVIDIA driver"),
        ("mismatch", 18, "Failed to initialize NVML: Driver/library version mismatch"),
        ("missing", 12, "couldn't find libnvidia-ml.so library"),
    ],
)
def test_no_driver(machine: Callable[..., Machine], driver: str, code: int, words: str) -> None:
    answer = machine("1xT4", driver=driver).smi("-L")
    assert (answer.code, words in answer.text) == (code, True), answer.text
