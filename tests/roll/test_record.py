"""The record survives what may happen to it, and says how a roll stands."""

from __future__ import annotations

import fcntl
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov.errors import BadRequest
from migprov.fleet.roll import claim, folder
from migprov.fleet.roll.record import Record, read, stories
from migprov.fleet.roll.request import ROLLOUT
from migprov.fleet.roll.standing import standing

from .control import Control

ID = "20260101-000000-abcd"


def begin(base: Path) -> Record:
    roll = base / ID
    folder.make_private(roll)
    held = folder.take(roll)
    assert held is not None
    record = Record(roll, held)
    about = {
        "file": "layouts.yml",
        "name": "voice",
        "inventory": ["inventory"],
        "limit": None,
        "hosts": ["a", "b", "c"],
    }
    record.write("begun", id=ID, who="me", **about, options={"kind": "rollout", "extra": ["x"]})
    return record


def node(host: str, result: str = "done") -> dict[str, Any]:
    return {"host": host, "result": result, "message": None, "before": None, "after": None}


def test_a_roll_is_running_while_it_is_held(tmp_path: Path) -> None:
    record = begin(tmp_path)
    assert read(record.folder).state == "running"
    assert folder.take(record.folder) is None
    record.write("looked", nodes={"a": {"changes": False, "error": None}, "b": {"changes": True, "error": None}})
    record.write("batch", number=1, hosts=["b", "c"])
    record.write("playbook", number=1, pid=os.getpid(), start_ticks=folder.start_ticks(os.getpid()))
    record.write("node", **node("b", "failed"))
    record.close()
    story = read(record.folder)
    assert (story.state, story.playbook_runs, story.in_hand) == ("killed", True, ("c",))
    assert (story.done, story.failed, story.left) == (["a"], ["b"], ["b"])
    stands = standing(story)
    assert (stands.maybe_drained, stands.playbook) == (("c", "b"), os.getpid())
    assert stands.next == f"migprov rollout --resume {ID} -e x=..."


def test_who_only_looks_is_not_in_the_way_of_who_takes_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda _s: fcntl.flock(looking, fcntl.LOCK_UN))  # the look is over meanwhile
    held = folder.take(tmp_path)
    os.close(looking)
    assert held is not None
    assert folder.is_held(tmp_path)
    os.close(held)


@pytest.mark.parametrize("last", ["paused", "stopped", "ended"])
def test_how_it_ended(tmp_path: Path, last: str) -> None:
    record = begin(tmp_path)
    record.write(last, reason="why", result="how")
    record.close()
    stands = standing(read(record.folder))
    assert (stands.state, stands.result, stands.reason) == (last, "how", "why")
    assert (stands.next is None) == (last == "ended")


def test_a_line_that_was_cut_off(tmp_path: Path) -> None:
    record = begin(tmp_path)
    record.write("batch", number=1, hosts=["a"])
    record.close()
    journal = record.folder / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"event": "no')
    assert read(record.folder).in_hand == ("a",)
    held = folder.take(record.folder)
    assert held is not None
    again = Record(record.folder, held)
    again.write("node", **node("a"))
    again.close()
    assert [json.loads(line)["event"] for line in journal.read_text().splitlines()] == ["begun", "batch", "node"]
    assert read(record.folder).done == ["a"]


DAMAGED = [
    "[]",
    "123",
    '"node"',
    "\0\0\0\0",
    "[" * 100_000,
    '{"event": "begun"}',
    '{"event": "begun", "hosts": ["d"], "options": [], "inventory": []}',
    '{"event": "looked", "nodes": [1]}',
    '{"event": "looked", "nodes": {"a": []}}',
    '{"event": "batch", "hosts": 3}',
    '{"event": "node", "host": "a"}',
    '{"event": "playbook", "pid": "x", "start_ticks": 1}',
]


def test_damaged_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    record = begin(tmp_path)
    record.write("batch", number=1, hosts=["a", "b"])
    with (record.folder / "journal.jsonl").open("a") as journal:
        journal.writelines(f"{line}\n" for line in DAMAGED)
    record.write("node", **node("a"))
    record.close()
    story = read(record.folder)
    assert (story.damaged, story.in_hand, story.done) == (len(DAMAGED), ("b",), ["a"])
    assert standing(story).to_json()["damaged"] == len(DAMAGED)


@pytest.mark.parametrize("line", DAMAGED)
def test_a_roll_whose_first_line_is_damaged_is_in_nobodys_way(control: Control, line: str) -> None:
    roll = control.state / "migprov" / "rolls" / ID
    roll.mkdir(parents=True)
    (roll / "journal.jsonl").write_text(f"{line}\n")
    assert stories(roll.parent) == []
    with pytest.raises(BadRequest, match="never began"):
        claim.unfinished(roll.parent, ID, ROLLOUT)


def test_a_process_that_is_another_one_by_now(tmp_path: Path) -> None:
    record = begin(tmp_path)
    record.write("playbook", number=1, pid=os.getpid(), start_ticks=1)
    record.close()
    assert not read(record.folder).playbook_runs


def test_folders_that_never_became_a_roll(tmp_path: Path) -> None:
    (tmp_path / "20260101-000000-ffff").mkdir()
    (tmp_path / "notes").mkdir()
    begin(tmp_path).close()
    assert [story.id for story in stories(tmp_path)] == [ID]
    assert stories(tmp_path / "missing") == []


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file can be longer than 1,000 bytes: what is longer is written in part, as on a disk that gets full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_gets_full(tmp_path: Path, small_disk: None) -> None:
    record = begin(tmp_path)
    with pytest.raises(folder.CannotRecord, match=r"layouts.yml cannot be written: File too large"):
        record.keep("layouts.yml", b"x" * 1500)
    with pytest.raises(folder.CannotRecord, match=r"journal.jsonl cannot be written: File too large"):
        record.write("node", **node("a" * 1500))
    record.close()
    assert read(record.folder).hosts == ("a", "b", "c")


def test_a_record_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "starting").mkdir()
    with pytest.raises(folder.CannotRecord, match=r"starting: Is a directory"), folder.starting(tmp_path):
        pass


def test_a_folder_that_others_could_read_is_shut(tmp_path: Path) -> None:
    shared = tmp_path / "rolls"
    shared.mkdir(mode=0o755)
    folder.make_private(shared)
    assert shared.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(folder.CannotRecord):
        folder.make_private(tmp_path / "file" / "rolls")
