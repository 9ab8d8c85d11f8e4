"""The zipapp: always the same bytes, complete, and fit for every Python of the nodes."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from migprov.connect.program import program

from .machine import REQUEST, interpreters


def test_another_process_at_another_time_builds_the_same_bytes():
    code = "from migprov.connect.program import program; print(program().digest)"
    environment = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    other = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).strip()
    assert other == program().digest == hashlib.sha256(program().data).hexdigest()


def test_holds_what_runs_and_nothing_else():
    with zipfile.ZipFile(io.BytesIO(program().data)) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        geometry = archive.read("migprov_node/mig/geometry.json")
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
    assert names == sorted(names)
    assert {"__main__.py", "pynvml.py", "migprov_node/node/__main__.py", "migprov_node/mig/plan.py"} <= set(names)
    assert not [name for name in names if not name.endswith((".py", ".json"))]
    assert not [name for name in names if "test" in name or "sim" in name]
    assert b"\n" not in geometry
    assert json.loads(geometry)


@pytest.mark.parametrize("python", interpreters())
def test_every_python_of_the_nodes_runs_it(python: str, tmp_path: Path):
    path = tmp_path / "program.pyz"
    path.write_bytes(program().data)
    done = subprocess.run(
        [python, "-E", "-s", "-S", "-W", "error", path], input=REQUEST, capture_output=True, cwd=tmp_path, check=False
    )
    reply = json.loads(done.stdout)
    assert (reply["protocol"], reply["task"], done.stderr) == (1, "info", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["program.pyz"]


def test_what_is_ours_is_python_3_8():
    with zipfile.ZipFile(io.BytesIO(program().data)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py") and name != "pynvml.py"]
        for name in names:
            ast.parse(archive.read(name), name, feature_version=(3, 8))
    assert "migprov_twin/twin.py" in names


def test_it_is_small():
    # It goes over the wire once a node: a jump in size wants a reason.
    assert len(program().data) < 150_000
