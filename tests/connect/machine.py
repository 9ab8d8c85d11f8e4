"""What stands for a node: a home folder, a shell, and every interpreter that is to be found here."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from migprov.connect.command import install_command, run_command, understand
from migprov.connect.program import program

REQUEST = b'{"protocol": 1, "task": "info", "params": {}, "check": false}'


class Machine:
    """A home folder and a shell."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.cache = home / ".cache" / "migprov"
        self.path = "/usr/bin:/bin"

    def sh(self, command: str, stdin: bytes = b"", shell: str = "/bin/sh", **more: Any):
        environment = {"HOME": str(self.home), "PATH": self.path}
        return subprocess.run([shell, "-c", command], input=stdin, capture_output=True, env=environment, **more)

    def run(self, **options: Any) -> dict[str, Any]:
        done = self.sh(run_command(program().digest, **options), REQUEST)
        return understand(done.returncode, done.stdout, done.stderr, host="gpu1")

    def install(self, **options: Any) -> dict[str, Any]:
        data = program().data
        done = self.sh(install_command(program().digest, len(data), **options), data + REQUEST)
        return understand(done.returncode, done.stdout, done.stderr, host="gpu1")


# Looked for now, because some tests change HOME.
_PYENV = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))


@cache
def interpreters() -> tuple[str, ...]:
    """Every CPython 3.8 to 3.13 that is to be found here, the oldest first."""
    by_version = {}
    for path in [Path(sys.executable), Path("/usr/bin/python3"), *_PYENV]:
        if os.access(path, os.X_OK):
            ask = [str(path), "-c", "import sys; print(*sys.version_info[:2])"]
            major, minor = map(int, subprocess.check_output(ask).split())
            if (3, 8) <= (major, minor) <= (3, 13):
                by_version.setdefault((major, minor), str(path))
    return tuple(path for _, path in sorted(by_version.items()))
