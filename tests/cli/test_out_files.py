"""Files that a command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from migprov.cli import out_files
from migprov.errors import BadRequest


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    there = tmp_path / "there.yml"
    there.write_text("mine")
    with pytest.raises(BadRequest, match="is there already"):
        out_files.check([there], force=False)
    out_files.check([there], force=True)
    with pytest.raises(BadRequest, match="is a folder"):
        out_files.check([tmp_path], force=True)
    with pytest.raises(BadRequest, match="no such folder"):
        out_files.check([tmp_path / "none" / "x.yml"], force=False)
    with pytest.raises(BadRequest, match="named twice"):
        out_files.check([tmp_path / "x.yml", tmp_path / "x.yml"], force=False)
    out_files.write(there, "new")
    assert there.read_text() == "new"
    assert list(tmp_path.iterdir()) == [there]
