"""`make demo` tells its story to the end, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = b"MIGPROV_SIM_SESSION="


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that belong to simulated nodes below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in text and entry.name not in (str(os.getpid()), "self", "thread-self"):
            found.append(text.split(b"\0" * 2)[0].decode(errors="replace"))
    return found


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder), "COLUMNS": "160"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_story() -> None:
    with tempfile.TemporaryDirectory(prefix="mdemo-") as folder:
        run = demo(Path(folder))
        output, _ = run.communicate(timeout=170)
        assert run.returncode == 0, output
        assert re.search(r"before +96\.2 GB +240 GB +40% +0\b", output), output
        assert re.search(r"after +96\.2 GB +160 GB +60% +1\b", output), output
        assert "0 writes" in output
        assert left_behind(Path(folder)) == []
        assert [path.name for path in Path(folder).iterdir()] == []


def test_stopping_it_ends_everything() -> None:
    with tempfile.TemporaryDirectory(prefix="mdemo-") as folder:
        run = demo(Path(folder))
        assert run.stdout is not None
        for line in run.stdout:
            if "The speech workloads move away" in line:
                run.send_signal(signal.SIGINT)
                break
        run.communicate(timeout=60)
        assert run.returncode == 130
        assert left_behind(Path(folder)) == []
        assert [path.name for path in Path(folder).iterdir()] == []
