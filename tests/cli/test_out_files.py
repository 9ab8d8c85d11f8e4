"""Files that a command writes."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from migprov.cli import exits, out_files
from migprov.errors import BadRequest, MigprovError


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


@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_stays_one(tmp_path: Path, force: bool) -> None:
    """Nor is `/dev/null`, which root could do without even less."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    out_files.check([pipe], force=force)
    out_files.write(pipe, "new")
    reader.join(60)
    assert got == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_that_cannot_be_written_in_the_end_is_no_bad_request(tmp_path: Path) -> None:
    with pytest.raises(MigprovError, match="cannot be written: No such file or directory") as caught:
        out_files.write(tmp_path / "gone" / "x.yml", "new")
    assert exits.of_error(caught.value) == exits.FAILED
