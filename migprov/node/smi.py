"""The one thing NVML has no public call for: resetting a GPU."""

from __future__ import annotations

import subprocess

from .errors import ResetRefused

_LIMIT_S = 120.0


def reset(uuid: str) -> None:
    """Reset one GPU with ``nvidia-smi --gpu-reset``; raises ResetRefused with what it answered."""
    command = ["nvidia-smi", "--gpu-reset", "-i", uuid]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        raise ResetRefused("nvidia-smi is not on PATH", next="install the driver's utilities") from None
    except OSError as error:
        raise ResetRefused("nvidia-smi cannot be run: %s" % error, next="mend the installation of the driver") from None
    except subprocess.TimeoutExpired:
        raise ResetRefused(
            "nvidia-smi --gpu-reset did not end within %d s and was stopped" % _LIMIT_S,
            next="look at dmesg; the GPU may need a reboot of the node",
        ) from None
    if done.returncode != 0:
        answer = " ".join(done.stdout.decode("utf-8", "replace").split())[:500]
        raise ResetRefused(
            "nvidia-smi --gpu-reset answered %d: %s" % (done.returncode, answer or "nothing"),
            next="end every process that has the GPU open; where a hypervisor forbids resets, reboot the node",
        )
