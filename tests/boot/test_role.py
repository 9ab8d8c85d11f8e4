"""The role mig_persist, by real Ansible over real OpenSSH on a machine with a real systemd."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from .conftest import HALVES, ROOT, SAVED, UNIT, Role

AFTER = yaml.safe_load((ROOT / "roles" / "mig_persist" / "defaults" / "main.yml").read_text())["mig_persist_after"]
_SYSTEMD = "etc/systemd/system"
PUT = (
    "etc/migprov",
    "usr/local/lib/migprov",
    f"{_SYSTEMD}/{UNIT}",
    f"{_SYSTEMD}/multi-user.target.wants/{UNIT}",
)


def there(role: Role) -> list[str]:
    """What of the role is on the machine."""
    layer = role.machine.inside.layer
    return [path for path in PUT if (layer / path).is_symlink() or (layer / path).is_dir() or (layer / path).is_file()]


@pytest.mark.timeout(600)  # nine playbooks
def test_a_layout_of_its_life(role: Role) -> None:
    """Check mode, installing, doing it again, another layout, the present one, removing, removing again."""
    inside = role.machine.inside

    changed, said = role.play("--check", "--diff", mig_persist_config=HALVES)
    assert changed >= 3
    assert "--boot" in said
    assert there(role) == []

    assert role.play(mig_persist_config=HALVES)[0] >= 5
    assert there(role) == list(PUT)
    assert inside.run("systemctl", "is-enabled", UNIT).stdout == "enabled\n"
    verified = inside.run("systemd-analyze", "verify", f"/etc/systemd/system/{UNIT}")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    owned = inside.run("find", "/etc/migprov", "/usr/local/lib/migprov", "-printf", r"%u:%g %m\n").stdout
    assert set(owned.splitlines()) == {"root:root 755", "root:root 644"}
    saved = saved_entries(role)
    assert [[gi["start"] for gi in entry["instances"]] for entry in saved] == [[0, 4], [0, 4]]
    assert role.machine.sim.write_count() == 0  # it saves and enables, no more
    assert inside.show(UNIT, "ActiveState") == ["inactive"]

    after = ",".join(AFTER)
    text: dict[str, Any] = {"mig_persist_limit_s": "300", "mig_persist_before_also": "", "mig_persist_after": after}
    assert role.play(mig_persist_config=HALVES, **text)[0] == 0
    (inside.root / "usr/local/lib/migprov/migprov-node-0123456789abcdef.pyz").touch()
    one = [{"devices": [1], "mig-enabled": True, "mig-devices": {"7g.80gb": 1}}]
    assert role.play(mig_persist_config=one)[0] == 2  # the saved layout, and a program of another version
    assert [entry["devices"] for entry in saved_entries(role)] == [[role.machine.sim.show()["gpus"][1]["uuid"]]]
    assert len(list((inside.root / "usr/local/lib/migprov").iterdir())) == 1

    assert role.play(mig_persist_current=True)[0] == 1
    assert [entry["mig_enabled"] for entry in saved_entries(role)] == [False, False]

    assert role.play(mig_persist_state="absent")[0] >= 4
    assert there(role) == []
    assert inside.show(UNIT, "LoadState") == ["not-found"]

    elsewhere = "/root/boot.json"  # a folder that only its owner may read
    assert role.play(mig_persist_config=one, mig_persist_saved=elsewhere)[0] >= 4
    assert inside.run("stat", "-c", "%a", "/root").stdout == "700\n"
    role.play(mig_persist_state="absent", mig_persist_saved=elsewhere)
    assert there(role) == []
    assert not (inside.layer / elsewhere.lstrip("/")).is_file()
    assert role.play(mig_persist_state="absent")[0] == 0


def saved_entries(role: Role) -> Any:
    body = json.loads((role.machine.inside.root / SAVED.lstrip("/")).read_text())
    return body["params"]["entries"]


REFUSED = [
    ({}, "config"),
    ({"mig_persist_config": HALVES, "mig_persist_current": True}, "not both"),
    ({"mig_persist_config": [{"devices": "all", "mig-enabled": True, "mig-devices": {"7g.80gb": 2}}]}, "7g.80gb"),
    ({"mig_persist_config": HALVES, "mig_persist_python": "/usr/bin/python2"}, "/usr/bin/python2 is not there"),
    ({"mig_persist_config": HALVES, "mig_persist_limit_s": 30}, "below limit_s"),
    ({"mig_persist_config": HALVES, "mig_persist_saved": "boot.json"}, "must be absolute paths"),
    ({"mig_persist_state": "off"}, "present, absent"),
]


def test_what_cannot_be_is_refused_and_nothing_is_put_there(role: Role) -> None:
    said = role.refused([variables for variables, _ in REFUSED])
    for (variables, word), text in zip(REFUSED, said, strict=True):
        assert word in text, (variables, text)
    assert there(role) == []


def test_a_second_manager_is_refused(role: Role) -> None:
    other = role.machine.inside.root / "etc/systemd/system/multi-user.target.wants/nvidia-mig-manager.service"
    other.symlink_to("/dev/null")
    try:
        assert "two would undo each other" in role.play(expect=2, mig_persist_config=HALVES)[1]
    finally:
        other.unlink()
    assert there(role) == []
