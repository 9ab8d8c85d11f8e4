"""Fuzzing for a given time: rounds of the tests with many examples, each of another seed, until one fails.

python tests/fuzz/rounds.py MINUTES [arguments for pytest]
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main(minutes: float, arguments: list[str]) -> int:
    """0 when the time has passed and nothing was found, else pytest's status."""
    end = time.monotonic() + minutes * 60
    number = 0
    while time.monotonic() < end:
        number += 1
        seed = secrets.randbelow(1 << 32)
        left = (end - time.monotonic()) / 60
        print(f"round {number}, seed {seed}, {left:.0f} minutes left", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=3600", f"--hypothesis-seed={seed}"]
        # what the last round began is finished: a failure would be half told
        status = subprocess.run(
            [*command, str(HERE), *arguments],
            cwd=HERE.parents[1],
            env={**os.environ, "MIGPROV_FUZZ": "long"},
            check=False,
        ).returncode
        if status != 0:
            print(f"round {number} found something; again: MIGPROV_FUZZ=long pytest --hypothesis-seed={seed} {HERE}")
            return status
    print(f"{number} rounds in {minutes:g} minutes: nothing was found")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
