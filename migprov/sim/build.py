"""Compiling the simulated driver: once per version of its sources, by `cc` or by the compiler in PyPI's ziglang."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from .errors import CompileFailed, NoCompiler

SONAME = "libnvidia-ml.so.1"
HOLDER = "migprov-holder"
_NATIVE = Path(__file__).parent / "native"
_FLAGS = ("-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-fvisibility=hidden")
_LIMIT_S = 300


def library() -> Path:
    """The compiled library, `libnvidia-ml.so.1`. Raises NoCompiler or CompileFailed."""
    return _built() / SONAME


def holder() -> Path:
    """The compiled program that holds a GPU. Raises NoCompiler or CompileFailed."""
    return _built() / HOLDER


def call_names() -> list[str]:
    """Every NVML call of the library, in the order of the counters."""
    return re.findall(r" X\((\w+)\)", (_NATIVE / "calls.h").read_text())


def compiler() -> list[str]:
    """The command line of the C compiler: `cc` on PATH, else ziglang. Raises NoCompiler."""
    cc = shutil.which("cc")
    if cc:
        return [cc]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise NoCompiler(
        "the simulated driver needs a C compiler once: there is no cc on PATH and no ziglang in this Python",
        next="pip install 'migprov[sim]', or install a C compiler",
    )


def _sources() -> list[Path]:
    return sorted(_NATIVE.glob("*.[ch]"))


@cache
def _digest() -> str:
    hashed = hashlib.sha256(" ".join(_FLAGS).encode())
    for source in _sources():
        hashed.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return hashed.hexdigest()[:24]


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "migprov" / "sim"


def _built() -> Path:
    folder = _cache_folder() / _digest()
    if not folder.is_dir():
        _build(folder)
    return folder


def _build(folder: Path) -> None:
    """Compile beside the final place, then rename: two processes at once both end with a whole folder."""
    command = compiler()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as work:
        made = Path(work) / "made"
        made.mkdir(mode=0o755)
        parts = [str(path) for path in _sources() if path.suffix == ".c" and path.stem != "holder"]
        shared = ["-shared", "-fPIC", f"-Wl,-soname,{SONAME}"]
        _compile([*command, *_FLAGS, *shared, "-o", str(made / SONAME), *parts, "-lpthread", "-ldl"])
        program = [str(_NATIVE / "holder.c"), *parts]
        _compile([*command, *_FLAGS, "-o", str(made / HOLDER), *program, "-lpthread", "-ldl"])
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompileFailed(f"{command[0]} cannot compile the simulated driver: {error}") from error
    if done.returncode != 0:
        raise CompileFailed(f"{command[0]} refused the simulated driver: {done.stderr.strip()[-2000:]}")
