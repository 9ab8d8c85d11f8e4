"""Compiling on first use."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path

import pytest

from migprov.sim import build
from migprov.sim.errors import CompileFailed, NoCompiler


@pytest.fixture
def usual_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "migprov" / "sim"


def hide_cc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="PyPI's ziglang is not installed")
def test_ziglang_serves_where_there_is_no_cc(
    usual_cache: Path, empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_cc(monkeypatch, tmp_path)
    # What zig itself compiles once for this machine may stay between runs; the library is built afresh.
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(usual_cache / "zig"))
    assert build.compiler()[1:] == ["-m", "ziglang", "cc"]
    library = build.library()
    assert library.is_relative_to(empty_cache)
    found = ctypes.CDLL(str(library))
    found.nvmlErrorString.restype = ctypes.c_char_p
    assert found.nvmlErrorString(19) == b"In use by another client"
    assert build.holder().stat().st_mode & 0o111
    assert [path.name for path in empty_cache.iterdir()] == [library.parent.name]  # nothing half made is left


def test_no_compiler_at_all(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_cc(monkeypatch, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoCompiler, match=r"Next: pip install 'migprov\[sim\]'"):
        build.library()
    assert not empty_cache.exists()


def test_a_compiler_that_refuses(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_cc(monkeypatch, tmp_path)
    cc = tmp_path / "bin" / "cc"
    cc.write_text("#!/bin/sh\necho 'no such target' >&2\nexit 1\n")
    cc.chmod(0o755)
    with pytest.raises(CompileFailed, match="no such target"):
        build.library()
    assert list(empty_cache.iterdir()) == []


def test_it_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = build.library()
    hide_cc(monkeypatch, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert build.library() == found
