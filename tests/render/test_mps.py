"""MPS on a host: the unit as systemd itself reads it, and the environment of each daemon."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from migprov.render import mps
from migprov.render.errors import CannotRender
from migprov.render.mps import Options

GPU = "GPU-b1028956-cfa2-0990-bf4a-5da9abb51763"
MIG = "MIG-4dcd10e5-4cb3-5d3e-a7de-4e1e6b5dca6f"


def sections(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if line.startswith("["):
            found[line] = []
        elif line and not line.startswith("#"):
            list(found.values())[-1].append(line)
    return found


@pytest.mark.parametrize("options", [Options(), Options(user="daemon", threads_percent=50, memory_mib=9831)])
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path, options: Options) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    program = tmp_path / "nvidia-cuda-mps-control"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit, *_ = mps.files([GPU], Options(options.user, options.threads_percent, options.memory_mib, str(program)))
    template = tmp_path / Path(unit.name).name
    template.write_text(unit.text)
    # systemd 252 calls a template that is verified by its own name an instance of nothing.
    instance = tmp_path / template.name.replace("@", f"@{GPU}")
    instance.symlink_to(template.name)
    done = subprocess.run(["systemd-analyze", "verify", str(instance)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    template.write_text(unit.text.replace("TimeoutStopSec", "TimeoutStopSecs"))
    broken = subprocess.run(["systemd-analyze", "verify", str(instance)], capture_output=True, text=True, check=False)
    assert "TimeoutStopSecs" in broken.stderr


def test_one_environment_for_each_device() -> None:
    unit, first, second = mps.files([GPU, MIG], Options("asr", 25, 9831))
    assert unit.name == "/etc/systemd/system/migprov-mps@.service"
    assert first.name == f"/etc/migprov/mps/{GPU}.env"
    assert [line for line in second.text.splitlines() if not line.startswith("#")] == [
        f"CUDA_VISIBLE_DEVICES={MIG}",
        f"CUDA_MPS_PIPE_DIRECTORY=/run/migprov-mps/{MIG}",
        f"CUDA_MPS_LOG_DIRECTORY=/var/log/migprov-mps/{MIG}",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=9831M",
    ]
    service = sections(unit.text)["[Service]"]
    # What systemd makes is where the daemon is told to write.
    assert "RuntimeDirectory=migprov-mps/%i" in service
    assert "LogsDirectory=migprov-mps/%i" in service
    assert "EnvironmentFile=/etc/migprov/mps/%i.env" in service


@pytest.mark.parametrize(("user", "pipes"), [(None, "0755"), ("asr", "0750")])
def test_nobody_else_can_write_where_the_daemon_does(user: str | None, pipes: str) -> None:
    service = sections(mps.unit(Options(user)))["[Service]"]
    assert f"RuntimeDirectoryMode={pipes}" in service
    assert "LogsDirectoryMode=0750" in service
    assert (f"User={user}" in service) == (user is not None)


def test_the_daemon_starts_once_its_device_is_there() -> None:
    (after,) = [line for line in sections(mps.unit(Options()))["[Unit]"] if line.startswith("After=")]
    assert {"nvidia-persistenced.service", "migprov-restore.service"} <= set(after.removeprefix("After=").split())


@pytest.mark.parametrize(
    ("devices", "options", "why"),
    [
        ([], Options(), "no GPU or MIG device"),
        (["0"], Options(), "not the UUID"),
        ([f"MIG-{GPU}/1/0"], Options(), "not the UUID"),
        ([f"{GPU}\nUser=root"], Options(), "not the UUID"),
        ([GPU, GPU], Options(), "named twice"),
        ([GPU], Options(user="a b"), "no name of a user"),
        ([GPU], Options(user="root\nx"), "no name of a user"),
        ([GPU], Options(threads_percent=0), "from 1 to 100"),
        ([GPU], Options(memory_mib=0), "1 MiB or more"),
        ([GPU], Options(memory_mib=10**12 * 2), "more than any GPU"),
        ([GPU], Options(program="mps; rm -rf /"), "no absolute path"),
        ([GPU], Options(program="/bin/a'b"), "no absolute path"),
    ],
)
def test_what_cannot_be_rendered(devices: list[str], options: Options, why: str) -> None:
    with pytest.raises(CannotRender, match=why):
        mps.files(devices, options)
