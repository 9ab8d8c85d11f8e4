"""The one thing NVML has no public call for: resetting a GPU."""

from __future__ import annotations

import subprocess
from typing import Tuple

from .errors import ResetRefused

_LIMIT_S = 120.0


def reset(uuid: str, index: int) -> None:
    """Reset one GPU with ``nvidia-smi --gpu-reset``; raises ResetRefused with what it answered.

    nvidia-smi 535, on the simulated driver, looks for a UUID on every GPU and gives up at the first that is lost or
    tells none, before it did anything; an index it takes as it is.
    """
    code, answer = _run(uuid or str(index))
    if code != 0 and uuid and answer.startswith("Problem with GPU "):
        code, answer = _run(str(index))
    if code != 0:
        raise ResetRefused(
            "nvidia-smi --gpu-reset answered %d: %s" % (code, answer or "nothing"),
            next="end every process that has the GPU open; where a hypervisor forbids resets, reboot the node",
        )


def _run(gpu: str) -> Tuple[int, str]:
    command = ["nvidia-smi", "--gpu-reset", "-i", gpu]
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
    return done.returncode, " ".join(done.stdout.decode("utf-8", "replace").split())[:500]
