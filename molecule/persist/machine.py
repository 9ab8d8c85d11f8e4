"""The machine of this scenario: a real systemd in namespaces before a simulated driver, as tests/boot has them.

machine.py needs            say why no machine can be booted here, if so, and exit 1
machine.py up FOLDER        boot one; FOLDER gets inventory.yml, and machine.json for the commands below
machine.py show FOLDER      how its GPUs are cut, asked of the driver itself, as JSON: [profile, start] for each GPU
machine.py reboot FOLDER    restart it and its GPUs; how they are cut before anything on it has run again, as JSON
machine.py down FOLDER      end it

A process of its own holds the machine, so that it lives from playbook to playbook.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.boot.conftest import ENVIRONMENT, UNIT, Role  # noqa: E402
from tests.boot.container import missing  # noqa: E402

STARTED_S = 120.0
"""Seconds within which a machine has to be up."""


def root_file_system() -> Path:
    script = ROOT / "scripts" / "boot-root.sh"
    return Path(subprocess.run([script, "--path"], check=True, capture_output=True, text=True).stdout.strip())


def why_not() -> str | None:
    """Why no machine can be booted here; None when one can."""
    if why := missing():
        return why
    if not root_file_system().is_dir():
        return "there is no root file system to boot: scripts/boot-root.sh makes it"
    return None


# --- the process that holds the machine -----------------------------------------------------------------------------


def serve(folder: Path) -> None:
    """Boot the machine and do what it is told until it is told `down`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # A short path: an overlay's options have a limit, and so have sockets.
    with tempfile.TemporaryDirectory(prefix="migprov-persist-", ignore_cleanup_errors=True) as short:
        role = Role(Path(short) / "role", root_file_system())
        machine = role.machine
        try:
            # What the node's sshd says to Ansible, for the unit that the role makes.
            environment = [f'Environment="{name}={value}"' for name, value in ENVIRONMENT.items()]
            machine.drop_in(UNIT, "[Service]", *environment)
            machine.inside.boot()
            with Listener(f"{short}/socket", "AF_UNIX") as listener:
                shutil.copy(role.folder / "inventory.yml", folder)
                told = Path(short) / "machine.json"
                told.write_text(json.dumps({"pid": os.getpid(), "socket": f"{short}/socket"}))
                shutil.move(told, folder)  # whole, and last: it says that the machine is up
                listen(listener, {"show": lambda: cut(role), "reboot": lambda: reboot(role)})
        finally:
            machine.inside.remove()


def listen(listener: Listener, commands: dict[str, Callable[[], Any]]) -> None:
    while True:
        with listener.accept() as caller:
            command = caller.recv()
            if command == "down":
                return
            caller.send(commands[command]())


def cut(role: Role) -> list[list[tuple[str, int]]]:
    gpus = role.machine.sim.show()["gpus"]
    return [sorted((gi["profile"], gi["start"]) for gi in gpu["instances"]) for gpu in gpus]


def reboot(role: Role) -> list[list[tuple[str, int]]]:
    role.machine.inside.shut_down()
    role.machine.sim.reboot()
    between = cut(role)
    role.machine.inside.boot()
    return between


# --- what the playbooks call ----------------------------------------------------------------------------------------


def up(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "machine.log"
    command = [sys.executable, __file__, "serve", str(folder)]
    with log.open("w") as said:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    deadline = time.monotonic() + STARTED_S
    while not (folder / "machine.json").exists():
        if server.poll() is not None or time.monotonic() > deadline:
            server.terminate()
            sys.exit(f"the machine did not start:\n{log.read_text()}")
        time.sleep(0.1)


def ask(folder: Path, command: str) -> None:
    server = json.loads((folder / "machine.json").read_text())
    with Client(server["socket"], "AF_UNIX") as connection:
        connection.send(command)
        if command != "down":
            print(json.dumps(connection.recv()))


def down(folder: Path) -> None:
    pid = json.loads((folder / "machine.json").read_text())["pid"]
    with contextlib.suppress(FileNotFoundError, ConnectionError):
        ask(folder, "down")
    while b"machine.py" in cmdline(pid):
        time.sleep(0.1)
    for name in ("machine.json", "inventory.yml", "machine.log"):
        (folder / name).unlink(missing_ok=True)


def cmdline(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def main(command: str, *folder: str) -> None:
    if command == "needs":
        if why := why_not():
            print(why)
            sys.exit(1)
        return
    path = Path(folder[0])
    if command in ("serve", "up", "down"):
        {"serve": serve, "up": up, "down": down}[command](path.absolute())
    else:
        ask(path, command)


if __name__ == "__main__":
    main(*sys.argv[1:])
