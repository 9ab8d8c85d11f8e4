"""The journal: what is in it when, what it survives, and what is told from it."""

from __future__ import annotations

import json
import os
import pwd
import resource
import signal
import subprocess
import sys

import pytest

from migprov.node import journal, processes

from .conftest import Machine, entry

CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"


def path(node: Machine):
    return node.home / ".local/state/migprov/journal.jsonl"


def lines(node: Machine) -> list[dict]:
    return [json.loads(line) for line in path(node).read_text().splitlines()]


def die(node: Machine, call: str, skip: int = 0, *, late: bool = False, task: str = "layout", **params) -> None:
    """A changing run that is killed at a write."""
    node.sim.fault(0, call, skip=skip, times=1, kill=True, late=late)
    request = json.dumps({"protocol": 1, "task": task, "params": params, "who": "asr@bastion"}).encode()
    command = [sys.executable, "-S", "-E", str(node.pyz)]
    done = subprocess.run(command, input=request, capture_output=True, env=node.env(), check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    node.sim.clear_faults()


def test_the_beginning_stands_there_before_the_first_write(machine):
    node = machine("1xA100-80GB")
    die(node, "nvmlDeviceSetMigMode", entries=[entry("7g.80gb")])
    assert node.sim.write_count() == 0
    (begun,) = lines(node)
    assert (begun["who"], begun["task"]) == ("asr@bastion", "layout")
    assert begun["before"] == [
        {
            **entry(gpus=[node.sim.show()["gpus"][0]["uuid"]], enabled=False),
            "device_filter": None,
            "source": "the journal",
        }
    ]
    assert begun["planned"][0]["action"] == "set_mig_mode"
    assert path(node).stat().st_mode & 0o777 == 0o600


WATCH = """
import os, runpy, sys
real, log, writes = os.fsync, sys.argv[2], sys.argv[3]
def fsync(fd):
    with open(log, "a") as file:
        file.write("%s %d\\n" % (os.path.basename(os.readlink("/proc/self/fd/%d" % fd)), os.path.getsize(writes)))
    return real(fd)
os.fsync = fsync
del sys.argv[1:]
runpy.run_path(os.environ["PROGRAM"], run_name="__main__")
"""


def test_the_beginning_is_synced_before_the_first_write(machine, tmp_path):
    node = machine("1xA100-80GB")
    log, writes = tmp_path / "log", node.sim.directory / "state.writes"
    request = json.dumps({"protocol": 1, "task": "layout", "params": {"entries": [entry("7g.80gb")]}}).encode()
    done = subprocess.run(
        [sys.executable, "-c", WATCH, "it", log, writes],
        input=request,
        capture_output=True,
        env={**node.env(), "PROGRAM": str(node.pyz)},
        check=False,
    )
    assert json.loads(done.stdout)["error"] is None, done.stderr
    (first, seen), *_, (last, later) = [line.split() for line in log.read_text().splitlines()]
    assert (first, seen) == ("journal.jsonl", "0")  # the driver had seen no write then
    assert (last, int(later)) == ("journal.jsonl", writes.stat().st_size)


def test_an_interrupted_change_is_told_and_finished_by_the_next(machine):
    node = machine("2xA100-80GB")
    entries = [entry("3g.40gb", "3g.40gb", gpus=[0])]
    die(node, CREATE, skip=1, late=True, entries=entries)
    interrupted = node.ok("info")["data"]["interrupted"]
    assert (interrupted["who"], interrupted["result"]) == ("asr@bastion", "interrupted")
    planned = node.ok("layout", check=True, entries=entries)
    assert planned["data"]["interrupted"]["id"] == interrupted["id"]
    reply = node.ok("layout", entries=entries)
    assert reply["data"]["interrupted"]["id"] == interrupted["id"]
    assert [step["action"] for step in reply["steps"]] == ["create_compute_instance"]
    assert "interrupted" not in node.ok("info")["data"]
    results = [change["result"] for change in node.ok("history")["data"]["changes"]]
    assert results == ["interrupted", "done"]


def test_a_line_that_a_power_cut_tore_is_passed_over_and_spoils_no_other(machine):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    with path(node).open("ab") as file:
        file.write(b'{"id": "17-4", "when": "2026-')
    assert node.layout("3g.40gb")["error"] is None
    changes = node.ok("history")["data"]["changes"]
    assert [change["result"] for change in changes] == ["done", "done"]


def test_foreign_lines_are_no_reason_to_fall(machine):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    with path(node).open("ab") as file:
        file.write(
            b'[]\n"x"\n7\n\xff\xfe\n{"id": 5}\n{"end": null}\n{"id": "a", "before": 3, "services": "x"}\n' + b"[" * 9999
        )
    for task in ("info", "history"):
        node.ok(task)
    assert node.layout("3g.40gb")["error"] is None


def test_a_journal_that_cannot_be_used_lets_nothing_change(machine):
    node = machine("1xA100-80GB")
    path(node).mkdir(parents=True)  # root may read any file, but not a folder as one
    error = node.refused("layout", "no_permission", entries=[entry("7g.80gb")])
    assert str(path(node)) in error["message"]


def test_a_full_disk_lets_nothing_change(machine, tmp_path):
    if not os.path.exists("/dev/full"):
        return
    node = machine("1xA100-80GB")
    path(node).parent.mkdir(parents=True)
    path(node).symlink_to("/dev/full")
    error = node.refused("layout", "no_permission", entries=[entry("7g.80gb")])
    assert "No space left" in error["message"]


def test_it_is_trimmed_and_keeps_the_newest(machine):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    old = lines(node)
    begun, ended = old[0], old[1]
    with path(node).open("w") as file:
        for number in range(900):
            file.write(json.dumps({**begun, "id": f"old-{number}", "who": "x" * 900}) + "\n")
            file.write(json.dumps({**ended, "end": f"old-{number}"}) + "\n")
    assert path(node).stat().st_size > 1 << 20
    node.layout("3g.40gb")
    assert path(node).stat().st_size < 1 << 20
    assert path(node).stat().st_mode & 0o777 == 0o600
    changes = node.ok("history")["data"]["changes"]
    assert (changes[-2]["id"], changes[-1]["result"]) == ("old-899", "done")
    assert 100 < len(changes) < 900


@pytest.mark.parametrize("megabytes", [2, 7])
def test_a_journal_of_large_changes_never_forgets_the_newest(machine, megabytes):
    """Eight cards with seven instances each take 30 kB a change, so the bytes count before the number does."""
    node = machine("2xH100-80GB-SXM")
    die(node, CREATE, entries=[entry("3g.40gb", gpus=[0])])
    node.layout("7g.80gb", gpus=[1])
    *died, begun, ended = lines(node)
    with path(node).open("w") as file:
        file.write("".join(json.dumps(line) + "\n" for line in died))
        for number in range(megabytes * 40):
            file.write(json.dumps({**begun, "id": f"old-{number}", "planned": begun["planned"] * 60}) + "\n")
            file.write(json.dumps({**ended, "end": f"old-{number}"}) + "\n")
    assert path(node).stat().st_size > megabytes << 20
    newest = f"old-{megabytes * 40 - 1}"
    assert node.ok("history")["data"]["changes"][-1]["id"] == newest
    assert node.layout("3g.40gb", gpus=[1])["error"] is None
    changes = node.ok("history")["data"]["changes"]
    assert (changes[-2]["id"], changes[-1]["result"]) == (newest, "done")
    assert path(node).stat().st_size < 1 << 20
    # of what waits for its end nothing is lost either, unless it is out of all that is read
    assert ("interrupted" in node.ok("info")["data"]) == (megabytes < 4)


@pytest.mark.parametrize("room", [0, 100, 700])
def test_a_disk_that_takes_the_beginning_of_a_line_lets_nothing_change(machine, room):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    size = path(node).stat().st_size
    request = {"protocol": 1, "task": "layout", "params": {"entries": [entry("3g.40gb")]}}
    writes = node.sim.write_count()
    reply = node.raw(request, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, size + room)))
    assert reply["error"]["code"] == "no_permission"
    assert node.sim.write_count() == writes
    assert len(node.ok("history")["data"]["changes"]) == 1
    assert node.layout("3g.40gb")["error"] is None
    assert len(node.ok("history")["data"]["changes"]) == 2


@pytest.mark.parametrize(
    ("other", "result"),
    [
        ({}, "running"),
        ({"start_ticks": 1}, "interrupted"),  # another process got its number
        ({"boot": "00000000-0000-0000-0000-000000000000"}, "interrupted"),  # the machine was restarted
        ({"pid": None}, "interrupted"),
    ],
)
def test_whether_a_change_is_under_way_is_no_matter_of_clocks(machine, other, result):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    with subprocess.Popen(["sleep", "600"]) as run:
        try:
            who = processes.identity(run.pid)
            assert who is not None
            line = lines(node)[0]
            line["by"].update({"pid": run.pid, "start_ticks": who.start_ticks}, **other)
            for when in (1, 1 << 42):  # long ago, and in a time to come
                path(node).write_text(json.dumps({**line, "id": f"{when}-{run.pid}"}) + "\n")
                assert [change["result"] for change in node.ok("history")["data"]["changes"]] == [result]
        finally:
            run.kill()


def test_history_says_who_when_from_what_to_what_and_how_it_ended(machine):
    node = machine("1xH100-80GB-SXM")
    assert node.ok("history")["data"]["changes"] == []
    request = {
        "protocol": 1,
        "task": "layout",
        "params": {"entries": [entry("7g.80gb")]},
        "who": "asr@bastion\n\x1b[31m",
    }
    assert node.raw(request)["error"] is None
    node.sim.fault(0, CREATE, "UNKNOWN")
    assert node.layout("3g.40gb")["error"]["code"] == "nvml"
    first, second = node.ok("history")["data"]["changes"]
    assert first["who"] == "asr@bastion??[31m"
    assert (first["result"], second["result"]) == ("done", "failed")
    assert first["before"][0]["mig_enabled"] is False
    assert [step["action"] for step in first["planned"]] == [
        "set_mig_mode",
        "create_gpu_instance",
        "create_compute_instance",
    ]
    assert [(gi["profile"], gi["start"]) for gi in second["before"][0]["instances"]] == [("7g.80gb", 0)]
    assert CREATE in second["message"]
    assert first["when"][:2] == "20"
    assert first["when"] <= second["when"]


def test_what_changes_nothing_leaves_no_line(machine):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    before = path(node).read_bytes()
    node.layout("7g.80gb")
    node.layout("3g.40gb", check=True)
    node.refused("layout", "unknown_profile", entries=[entry("1g.12gb")])
    assert path(node).read_bytes() == before


def test_a_run_about_other_gpus_does_not_close_an_interrupted_change(machine):
    node = machine("2xH100-80GB-SXM")
    node.layout("7g.80gb", gpus=[1])
    die(node, CREATE, entries=[entry("3g.40gb", gpus=[0])])
    assert node.layout("7g.80gb", gpus=[1])["changed"] is False
    assert node.ok("info")["data"]["interrupted"]["result"] == "interrupted"
    assert node.layout("3g.40gb", gpus=[0])["error"] is None
    assert "interrupted" not in node.ok("info")["data"]


def test_a_change_of_another_gpu_does_not_hide_an_interrupted_one(machine):
    node = machine("2xH100-80GB-SXM")
    die(node, CREATE, entries=[entry("3g.40gb", "3g.40gb", gpus=[0])])
    node.layout("7g.80gb", gpus=[1])
    assert node.ok("info")["data"]["interrupted"]["planned"][0]["gpu"] == 0
    node.layout("3g.40gb", gpus=[0])
    assert "interrupted" not in node.ok("info")["data"]
    changes = node.ok("history")["data"]["changes"]
    assert [(change["result"], change["continued"]) for change in changes] == [
        ("interrupted", True),
        ("done", False),
        ("done", False),
    ]


def test_root_has_one_journal_whatever_home_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MIGPROV_SYS", raising=False)
    own = pwd.getpwuid(os.geteuid()).pw_dir if os.geteuid() == 0 else str(tmp_path)
    assert journal.path() == f"{own}/.local/state/migprov/journal.jsonl"
    monkeypatch.setenv("MIGPROV_SYS", str(tmp_path))
    assert journal.path().startswith(str(tmp_path))
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, -1)  # a HOME that sudo kept
        assert journal.path() == f"{own}/.local/state/migprov/journal.jsonl"


@pytest.mark.parametrize(
    ("later", "result"),
    [
        ({"planned": [{"uuid": "GPU-0"}], "by": "here"}, "interrupted"),  # it is under way: nobody knows how it ends
        ({"planned": [{"uuid": "GPU-0"}]}, "interrupted"),  # it died, too
        ({"planned": [{"uuid": "GPU-0"}], "end": "failed"}, None),
        ({"planned": [{"uuid": "GPU-1"}], "end": "done"}, "interrupted"),
        ({"planned": [{"unit": "nvidia-dcgm.service"}], "end": "done"}, "interrupted"),
    ],
)
def test_which_change_waits_to_be_brought_to_its_end(tmp_path, monkeypatch, later, result):
    monkeypatch.setattr(journal, "path", lambda: str(tmp_path / "journal.jsonl"))
    first = {"id": "1", "planned": [{"uuid": "GPU-0"}]}
    second = {"id": "2", **later, "by": journal._itself() if later.get("by") else None}
    ended = {"end": "2", "result": second.pop("end", "running")}
    rows = [first, second] + [ended] * (ended["result"] != "running")
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = journal.interrupted()
    assert (found and found.result) == result
    assert found is None or found.id == ("2" if later == {"planned": [{"uuid": "GPU-0"}]} else "1")


def test_of_changes_that_are_too_large_the_newest_is_kept_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "path", lambda: str(tmp_path / "journal.jsonl"))
    assert journal._newest([("1", b"x"), ("2", b"x" * (1 << 20))]) == {"2"}
    assert journal._newest([("1", b"x" * (1 << 20)), ("2", b"x"), ("3", b"x")]) == {"2", "3"}


def test_a_change_that_only_starts_services_waits_for_its_end_too(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "path", lambda: str(tmp_path / "journal.jsonl"))
    row = {"id": "1", "planned": [{"action": "start_service", "uuid": ""}], "services": ["nvidia-dcgm.service"]}
    (tmp_path / "journal.jsonl").write_text(json.dumps(row) + "\n")
    found = journal.interrupted()
    assert found is not None and found.services == ["nvidia-dcgm.service"]
