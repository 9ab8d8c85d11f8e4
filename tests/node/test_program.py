"""The program around its tasks: requests, the driver's conditions, permissions, the lock, every interpreter."""

import fcntl
import os
import resource
import subprocess
import threading
from glob import glob
from pathlib import Path

import pytest

from migprov.node import lock
from migprov.node.errors import Locked

from .conftest import entry, profiles


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"x" * (5 << 20), "larger than"),
        ([], "must be a mapping"),
        ({"protocol": 2, "task": "info"}, "speaks protocol 1"),
        ({"protocol": 1, "task": "explode"}, "unknown task 'explode'; known are info"),
        ({"protocol": 1, "task": "info", "params": []}, "params must be a mapping"),
        ({"protocol": 1, "task": "info", "params": {"colour": 1}}, "no parameter colour"),
        ({"protocol": 1, "task": "info", "params": {"processes": 1}}, "processes must be true or false"),
        ({"protocol": 1, "task": "info", "check": "yes"}, "check must be true or false"),
        ({"protocol": 1, "task": "info", "wait_s": -1}, "wait_s"),
        ({"protocol": 1, "task": "layout"}, "entries must be a list"),
        ({"protocol": 1, "task": "mig_mode"}, "enabled is missing"),
        ({"protocol": 1, "task": "driver", "params": {"minimum": "new"}}, "not a driver version"),
        ({"protocol": 1, "task": "driver", "params": {"minimum": 470}}, "as text"),
        ({"protocol": 1, "task": "instances", "params": {"instances": 3}}, "instances must be a list"),
        ({"protocol": 1, "task": "reset", "params": {"gpus": "some"}}, 'must be "all"'),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_malformed_request_is_answered_and_changes_nothing(machine, request_, text):
    node = machine("1xA100-80GB")
    reply = node.raw(request_)
    assert reply["error"]["code"] == "bad_request"
    assert text in reply["error"]["message"]
    assert node.sim.write_count() == 0


@pytest.mark.parametrize(
    ("condition", "code"),
    [("missing", "no_driver"), ("not-loaded", "driver_not_loaded"), ("mismatch", "driver_mismatch")],
)
def test_the_driver_is_not_there(machine, condition, code):
    node = machine("1xA100-80GB", driver=condition)
    for task, params in (("info", {}), ("driver", {}), ("layout", {"entries": [entry("7g.80gb")]})):
        error = node.call(task, **params)["error"]
        assert error["code"] == code
        assert "nothing was changed" in error["next"]


def test_the_driver_check_knows_each_products_minimum(machine):
    old = machine("1xA100-80GB", driver_version="450.51.06")
    error = old.refused("layout", "driver_too_old", entries=[entry("7g.80gb")])
    assert "needs driver 450.80.02 or newer for MIG, and this node has 450.51.06" in error["message"]
    old.refused("driver", "driver_too_old")
    old.refused("mig_mode", "driver_too_old", enabled=True)

    # 9 is not more than 10, and 80 not more than 108
    new = machine("1xA100-80GB,1xT4", driver_version="450.108.01")
    data = new.ok("driver")["data"]
    assert [(row["gpu"], row["minimum"]) for row in data["gpus"]] == [(0, "450.80.02")]
    assert data["driver_version"] == "450.108.01"
    assert new.refused("driver", "driver_too_old", minimum="470.57.02")
    new.ok("driver", minimum="450.108")


def test_mig_mode_alone(machine):
    node = machine("2xA100-80GB,1xT4")
    reply = node.ok("mig_mode", enabled=True, gpus=[0])
    assert [step["action"] for step in reply["steps"]] == ["set_mig_mode"]
    assert [gpu["mig_current"] for gpu in reply["after"]["gpus"]] == [True, False, False]
    assert node.ok("mig_mode", enabled=True, gpus=[0])["changed"] is False
    reply = node.ok("mig_mode", enabled=True)
    assert [step["gpu"] for step in reply["steps"]] == [1]
    node.ok("mig_mode", enabled=False)
    assert not any(gpu["mig_current"] for gpu in node.ok("info")["after"]["gpus"])
    node.refused("mig_mode", "not_mig_capable", enabled=True, gpus=[2])


def test_instances_alone_need_the_mode(machine):
    node = machine("1xH200-141GB")
    assert (
        "MIG mode is not enabled" in node.refused("instances", "mode_not_effective", instances=["7g.141gb"])["message"]
    )
    node.ok("mig_mode", enabled=True)
    assert profiles(node.ok("instances", instances=["3g.71gb"])) == [("3g.71gb", 4)]
    assert node.ok("instances", instances=["3g.71gb"])["changed"] is False
    assert profiles(node.ok("instances", instances=[])) == []


def test_reset_does_only_what_is_due(machine):
    node = machine("2xA100-80GB")
    pid = node.sim.hold(1, 0, kind="monitor")
    node.hidden = True
    node.call("mig_mode", enabled=True, gpus=[1])
    node.sim.release(pid)
    reply = node.ok("reset")
    assert [(step["action"], step["gpu"]) for step in reply["steps"]] == [("reset_gpu", 1)]
    assert reply["after"]["gpus"][1]["mig_current"] is True
    assert node.ok("reset")["changed"] is False
    assert [step["gpu"] for step in node.ok("reset", force=True, gpus=[0])["steps"]] == [0]
    held = node.sim.hold(0, 1024)
    assert node.refused("reset", "gpu_busy", force=True, gpus=[0])["holders"][0]["pid"] == held


def test_a_gpu_that_requires_a_reset_is_told_apart_and_healed_when_asked(machine):
    node = machine("2xA100-80GB")
    node.sim.fault(1, requires_reset=True)
    gpu = node.ok("info")["after"]["gpus"][1]
    assert gpu["error"]["code"] == "reset_required"
    assert gpu["needs_reset"]
    reply = node.call("layout", entries=[entry("7g.80gb")])
    assert [len(gpu["instances"]) for gpu in reply["after"]["gpus"]] == [1, 0]
    assert "requires a reset" in reply["error"]["message"]
    reply = node.ok("reset")
    assert [step["gpu"] for step in reply["steps"]] == [1]
    assert reply["after"]["gpus"][1]["error"] is None
    assert node.layout("7g.80gb")["error"] is None
    assert node.ok("reset")["changed"] is False


def test_verify_lists_every_difference_and_writes_nothing(machine):
    node = machine("2xA100-80GB")
    error = node.refused("verify", "not_as_wanted", entries=[entry("7g.80gb")])
    assert len(error["differences"]) == 2
    assert "GPU 1 (" in error["differences"][1]


def test_info_with_profiles(machine):
    node = machine("1xH200-141GB,1xT4")
    data = node.ok("info", profiles=True)["data"]["profiles"]
    assert list(data) == ["0"]
    assert data["0"]["source"] == "nvml"
    assert {row["name"]: row["starts"] for row in data["0"]["profiles"]}["3g.71gb"] == [0, 4]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_user_who_may_not_is_told_so(machine, tmp_path):
    node = machine("1xA100-80GB", packed=True)
    os.chown(node.home, 65534, 65534)
    for folder in [node.pyz.parent, tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == 0 and folder != Path(folder.anchor):
            folder.chmod(folder.stat().st_mode | 0o011)
    before = node.sim.write_count()
    reply = node.raw(
        {"protocol": 1, "task": "layout", "params": {"entries": [entry("7g.80gb")]}},
        "/usr/bin/python3",
        user=65534,
        group=65534,
    )
    assert reply["error"]["code"] == "no_permission", reply["error"]
    assert "root" in reply["error"]["next"]
    assert node.sim.write_count() == before


def test_a_second_change_is_refused_by_the_lock_with_its_holder(machine):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    with (node.home / ".cache/migprov/lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.truncate(0)
        held.write('{"pid": 4711, "since": "2026-01-01 00:00:00 +0000"}')
        held.flush()
        error = node.refused("layout", "locked", entries=[entry("3g.40gb")])
        assert "process 4711, since 2026-01-01" in error["message"]
        node.ok("info")
        node.ok("layout", check=True, entries=[entry("3g.40gb")])
    assert node.layout("3g.40gb")["error"] is None
    assert (node.home / ".cache/migprov/lock").read_text() == ""


def test_check_mode_tells_who_holds_the_lock_and_makes_none(machine):
    node = machine()
    place = node.home / ".cache/migprov/lock"
    assert node.ok("layout", check=True, entries=[entry("3g.40gb")])["data"]["lock"] is None
    assert not place.exists()
    assert "lock" not in node.ok("layout", entries=[entry("3g.40gb")])["data"]
    assert node.ok("rollback", check=True)["data"]["lock"] is None
    with place.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write('{"pid": 4711, "since": "now"}')
        held.flush()
        for task, params in (("layout", {"entries": [entry("7g.80gb")]}), ("rollback", {}), ("reset", {"gpus": "all"})):
            assert node.ok(task, check=True, **params)["data"]["lock"] == "process 4711, since now"
    # the name that a killed run leaves behind is nobody's
    assert node.ok("layout", check=True, entries=[entry("3g.40gb")])["data"]["lock"] is None


def test_a_holder_is_named_even_if_it_writes_its_name_a_moment_later(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "folder", lambda: str(tmp_path))
    with (tmp_path / "lock").open("w+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        naming = threading.Timer(0.2, lambda: (tmp_path / "lock").write_text('{"pid": 4711, "since": "now"}'))
        naming.start()
        with pytest.raises(Locked, match="process 4711, since now"), lock.locked(0):
            pass
        naming.join()


def test_a_program_that_leaves_a_hanging_driver_frees_the_lock_itself(tmp_path, monkeypatch):
    """A thread that hangs in the kernel keeps the files of its process open, so its end alone would not."""
    monkeypatch.setattr(lock, "folder", lambda: str(tmp_path))
    with lock.locked(0):
        assert lock.holder() is not None
        with pytest.raises(Locked), lock.locked(0):
            pass
        lock.let_go()
        assert lock.holder() is None
    with (tmp_path / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # somebody else who looks
        assert lock.holder() is None


def test_a_full_disk_does_not_keep_a_node_from_being_as_it_is(machine):
    node = machine("1xA100-80GB")
    node.layout("7g.80gb")
    full = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))}
    request = {"protocol": 1, "task": "layout", "params": {"entries": [entry("7g.80gb")]}}
    reply = node.raw(request, **full)
    assert (reply["error"], reply["changed"]) == (None, False)
    request["params"] = {"entries": [entry("3g.40gb")]}
    writes = node.sim.write_count()
    assert node.raw(request, **full)["error"]["code"] == "no_permission"
    assert node.sim.write_count() == writes


def interpreters() -> list[str]:
    """Every Python from 3.8 to 3.13 on this machine."""
    found = {}
    places = [
        *os.environ["PATH"].split(":"),
        *glob(os.path.expanduser("~/.pyenv/versions/*/bin")),
        *glob("/root/.pyenv/versions/*/bin"),
    ]
    for folder in places:
        for minor in range(8, 14):
            path = Path(folder) / f"python3.{minor}"
            if path.exists() and minor not in found:
                probe = subprocess.run(
                    [path, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True
                )
                if probe.returncode == 0 and probe.stdout.strip() == str(minor):
                    found[minor] = str(path)
    return [found[minor] for minor in sorted(found)]


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).name)
def test_under_every_interpreter(machine, python):
    node = machine("1xA100-80GB,1xH100-80GB-SXM", packed=True)
    wanted = [entry({"profile": "3g.40gb", "compute_instances": ["1c.3g.40gb"]}, "1g.10gb+me", gpus="all")]
    assert node.call("info", python=python)["error"] is None
    reply = node.call("layout", python=python, entries=wanted)
    assert reply["error"] is None
    assert reply["changed"]
    assert node.call("verify", python=python, entries=wanted)["error"] is None
    assert node.call("layout", python=python, entries=wanted)["changed"] is False
    assert node.call("layout", python=python, entries=[entry("9g.10gb")])["error"]["code"] == "unknown_profile"
