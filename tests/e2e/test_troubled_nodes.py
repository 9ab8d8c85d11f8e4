"""A node where something is wrong: one clear sentence, the right exit code, nothing changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from migprov.sim.nodes import Fleet

LAYOUT = (
    "version: v1\nmig-configs:\n  pair:\n    - devices: [0]\n      mig-enabled: true\n      mig-devices: {3g.40gb: 2}\n"
)


def _no_driver(fleet: Fleet) -> None:
    (fleet.nodes[0].sim.directory / "lib" / "libnvidia-ml.so.1").unlink()


def _lost_gpu(fleet: Fleet) -> None:
    fleet.nodes[0].sim.fault(0, lost=True)


def _other_host_key(fleet: Fleet) -> None:
    address = fleet.known_hosts.read_text().split()[0]
    other = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    fleet.known_hosts.write_text(f"{address} {other.decode()}\n")


def _wrong_user(fleet: Fleet) -> None:
    text = fleet.inventory.read_text()
    fleet.inventory.write_text(text.replace(f"ansible_user: {fleet.user}", "ansible_user: nobody-here"))


def _become(fleet: Fleet) -> None:
    fleet.inventory.write_text(fleet.inventory.read_text().replace("vars:", "vars:\n        ansible_become: true"))


def _as_it_is(fleet: Fleet) -> None:
    pass


# what is wrong: how the node is made, what happens to it, exit code, error code, words of the sentence
TROUBLES: dict[str, tuple[dict[str, str], Callable[[Fleet], None], int, str, str]] = {
    "no NVIDIA driver": ({}, _no_driver, 2, "no_driver", "the NVML library (libnvidia-ml.so.1) is not on this node"),
    "no Python": ({"python": "missing"}, _as_it_is, 2, "no_python", "no Python was found on the node"),
    "a driver that is too old": (
        {"driver_version": "450.51.06"},
        _as_it_is,
        2,
        "driver_too_old",
        "needs driver 450.80.02 or newer for MIG, and this node has 450.51.06",
    ),
    "a GPU that fell off the bus": ({}, _lost_gpu, 2, "gpu_lost", "GPU 0 (no UUID): it is lost: it fell off the bus"),
    "another host key": ({}, _other_host_key, 4, "host_key", "host key"),
    "a wrong user": ({}, _wrong_user, 4, "auth", "nobody-here"),
    "sudo that refuses": ({"sudo": "refused"}, _become, 2, "sudo_refused", "sudo"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_clear_sentence_the_right_code_and_nothing_changed(
    trouble: str, make_fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    options, happens, code, error_code, sentence = TROUBLES[trouble]
    fleet = make_fleet(gpus="2xA100-80GB", **options)
    happens(fleet)
    layouts = tmp_path / "layouts.yml"
    layouts.write_text(LAYOUT)
    command = [sys.executable, "-m", "migprov.cli", "apply", str(layouts), "pair", "-i", str(fleet.inventory)]
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert told.returncode == code, told
    error = json.loads(told.stdout)["error"]
    assert error["code"] == error_code
    assert sentence in error["message"]
    assert error["next"]
    assert "\n" not in error["message"]

    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == code
    assert "Traceback" not in said.stdout + said.stderr
    assert sentence.split()[0] in said.stdout
    assert fleet.nodes[0].sim.write_count() == 0
