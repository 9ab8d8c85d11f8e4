"""Putting programs into a node's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def program(source: Path, target: Path) -> None:
    """Copy a program whole or not at all: a running process keeps the file it has mapped."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, fresh)
    fresh.chmod(0o755)
    fresh.rename(target)
