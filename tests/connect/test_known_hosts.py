"""A known_hosts file of many lines: a node is found in it, in the order of the file, without going through it all."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from migprov.connect import known_hosts
from migprov.connect.known_hosts import KnownHosts
from migprov.errors import HostKeyChanged, HostKeyUnknown

BLOBS = [bytes([number]) * 32 for number in range(6)]
KEYS = [base64.b64encode(blob).decode() for blob in BLOBS]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "known_hosts"
    lines = [
        f"* ssh-rsa {KEYS[0]}",
        f"GPU1,gpu2,[gpu1]:2222 ssh-ed25519 {KEYS[1]}",
        f"gpu*,!gpu2 ecdsa {KEYS[2]}",
        f"@revoked gpu1 ssh-ed25519 {KEYS[3]}",
        f"gpu1,gpu1 ssh-dss {KEYS[4]}",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def lines_about(file: Path, host: str, port: int = 22) -> list[int]:
    found = KnownHosts((str(file),), host, port).keys()
    return [int(key.where.rpartition(":")[2]) for key in found]


def test_plain_names_and_patterns_are_found_in_the_order_of_the_file(file: Path):
    assert lines_about(file, "gpu1") == [1, 2, 3, 4, 5]
    assert lines_about(file, "gpu2") == [1, 2]
    assert lines_about(file, "gpu3") == [1, 3]
    assert lines_about(file, "gpu1", 2222) == [1, 2]


def test_a_file_that_changes_is_read_again(file: Path):
    assert lines_about(file, "gpu1")
    file.write_text("")
    assert lines_about(file, "gpu1") == []
    with pytest.raises(HostKeyUnknown):
        KnownHosts((str(file),), "gpu1", 22).check("ssh-ed25519", BLOBS[1], host="gpu1")


def test_the_right_key_of_several_counts(file: Path):
    known = KnownHosts((str(file),), "gpu2", 22)
    assert known.kinds() == ["ssh-rsa", "ssh-ed25519"]
    known.check("ssh-ed25519", BLOBS[1], host="gpu2")
    with pytest.raises(HostKeyChanged):
        known.check("ssh-ed25519", BLOBS[5], host="gpu2")


def test_a_node_is_looked_up_and_other_nodes_lines_are_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "known_hosts"
    path.write_text("".join(f"[10.0.0.1]:{port} ssh-ed25519 {KEYS[1]}\n" for port in range(2000, 4000)))
    looked: list[str] = []
    monkeypatch.setattr(known_hosts.KnownKey, "names", lambda key, host: looked.append(host) or False)
    known = KnownHosts((str(path),), "10.0.0.1", 3000)
    assert known.kinds() == ["ssh-ed25519"]
    known.check("ssh-ed25519", BLOBS[1], host="gpu1")
    assert looked == []
