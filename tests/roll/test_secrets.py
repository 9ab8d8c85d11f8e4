"""No secret is left on the disk, and none can be read by others while a roll is at work."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible.parsing.vault import VaultEditor, VaultLib, VaultSecret

from .control import Control

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

pytestmark = pytest.mark.timeout(900)

ENVIRONMENT, GIVEN, VAULTED = "envirosecret-5b1f", "givensecret-77aa", "vaultsecret-90cc"


def holders(folder: Path, secret: str, *, of_others: bool = False) -> list[Path]:
    """The files below a folder in which the secret stands (and that anybody but us may read)."""
    found = []
    for path in folder.rglob("*"):
        try:
            readable = not of_others or _readable_by_others(path, folder)
            if path.is_file() and readable and secret.encode() in path.read_bytes():
                found.append(path)
        except FileNotFoundError:
            continue
    return found


def _readable_by_others(path: Path, folder: Path) -> bool:
    within = [path, *(parent for parent in path.parents if parent.is_relative_to(folder))]
    return all(stat.S_IMODE(each.stat().st_mode) & (0o001 if each.is_dir() else 0o004) for each in within)


def command_lines(secret: str) -> list[str]:
    """The command lines, which everybody may read, with the secret, but for the command that was typed."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if secret in words and "migprov.cli" not in words:
            found.append(words)
    return found


def vaulted(inventory: Path) -> Path:
    """Give all hosts of an inventory a vaulted variable; returns the file with its password."""
    password = inventory.parent / "password"
    password.write_text("opensesame")
    library = VaultLib([("default", VaultSecret(b"opensesame"))])
    plain = inventory.parent / "plain.yml"
    plain.write_text(
        f"health_token: {VAULTED}\nmig_layout_health_command: [test, '{{{{ health_token }}}}', '=', none]\n"
    )
    folder = inventory.parent / "group_vars" / "all"
    folder.mkdir(parents=True)
    VaultEditor(library).encrypt_file(str(plain), VaultSecret(b"opensesame"), output_file=str(folder / "vault.yml"))
    plain.unlink()
    return password


def test_no_secret_is_left_or_shown(control: Control, two: Fleet) -> None:
    holder = two.node("gpu1").sim.hold(gpu=1, memory_mib=100)
    password = vaulted(two.inventory)
    control.environment |= {"TOKEN": ENVIRONMENT, "ANSIBLE_VAULT_PASSWORD_FILE": str(password)}
    extra = ("-e", f"token={GIVEN}", "-e", "mig_layout_health_timeout=0")
    asked = ("rollout", control.layouts, "voice", "-i", two.inventory, "--drain", "wait", "--timeout", "3000")
    running = control.start(*asked, *extra, "--json")
    assert running.stdout is not None
    while '"event": "task"' not in (line := running.stdout.readline()):  # then ansible-playbook is at work
        assert line
    runner = control.story().folder / "runner"
    for secret in (ENVIRONMENT, GIVEN, VAULTED):
        assert holders(control.folder, secret, of_others=True) == []
    assert command_lines(GIVEN) == []
    assert stat.S_IMODE(runner.stat().st_mode) == 0o700
    running.send_signal(signal.SIGINT)
    holder.release()
    failed = control.finish(running)
    # The health command fails; neither its arguments nor any other value is told or kept.
    assert failed.code == 2, failed.err
    for secret in (ENVIRONMENT, GIVEN, VAULTED):
        assert holders(control.folder, secret) == []
    assert GIVEN not in failed.out + failed.err

    # Their values were kept nowhere, so they are asked for again.
    missing = control.run("rollout", "--resume")
    assert missing.code == 1
    assert "was begun with -e" in missing.err
    assert "token" in missing.err
    assert "-e token=..." in control.run("status").out


def test_a_dead_controllers_files_go_with_its_playbook(control: Control, two: Fleet) -> None:
    running = control.start("rollout", control.layouts, "voice", "-i", two.inventory, "-e", f"token={GIVEN}")
    control.wait_for("playbook")
    running.kill()
    control.finish(running)
    control.wait_for_playbook()
    assert holders(control.folder, GIVEN) == []
    assert [path.name for path in control.story().folder.iterdir() if path.is_dir()] == []
    assert os.listdir(control.tmp) == []
