"""The command `migprov`, ready: a process that has imported it and forks for each call.

Most of a short command is Python's start and imports, and a hundred of them stand in the docs. Arguments, folder,
environment, standard streams and exit status are those of the call; what a start from nothing takes and does is what
tests/cli and tests/repo look at.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

# What the commands import when they are called.
LATER = (
    "ansible.inventory.manager",
    "ansible.parsing.dataloader",
    "ansible.plugins.loader",
    "ansible.vars.hostvars",
    "ansible.vars.manager",
    "migprov.capacity.planning",
    "migprov.connect.ssh",
    "migprov.fleet.host_layouts",
    "migprov.fleet.hosts",
    "migprov.fleet.inventory",
    "migprov.fleet.vault",
    "migprov.layouts",
    "paramiko",
    "rich.table",
)
_STUB = """#!{python} -IS
import array, json, os, socket, sys
ask = socket.socket(socket.AF_UNIX)
ask.connect({path!r})
here = os.open(".", os.O_RDONLY)
fds = array.array("i", [0, 1, 2, here])
ask.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
ask.sendall(json.dumps([sys.argv[1:], dict(os.environ)]).encode())
ask.shutdown(socket.SHUT_WR)
sys.exit(int(ask.recv(16) or 70))
"""


@contextlib.contextmanager
def ready(folder: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """A folder with the program `migprov`, for PATH. Ansible's configuration is that of `env`."""
    folder.mkdir()
    path = folder / "socket"
    stub = folder / "migprov"
    stub.write_text(_STUB.format(python=sys.executable, path=str(path)))
    stub.chmod(0o755)
    null = subprocess.DEVNULL
    server = subprocess.Popen(
        [sys.executable, __file__, str(path)], cwd=folder, env=env, stdin=null, stdout=null, stderr=subprocess.PIPE
    )
    try:
        limit = time.monotonic() + 120
        while not path.exists():
            assert server.poll() is None, server.stderr and server.stderr.read().decode()
            assert time.monotonic() < limit
            time.sleep(0.05)
        yield folder
    finally:
        server.terminate()
        server.wait()
        if server.stderr:
            server.stderr.close()


def serve(path: str) -> None:
    """Returns in the process of each call alone, which is to be the command."""
    for found in pkgutil.iter_modules(importlib.import_module("migprov.cli").__path__, "migprov.cli."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    for name in LATER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path + ".new")
    listening.listen()
    os.rename(path + ".new", path)
    while True:
        call, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            return _become(call)
        call.close()
        # Those that have ended meanwhile.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _become(call: socket.socket) -> None:
    """The call's own process below this one, which waits for it and tells how it ended."""
    _, fds, _, _ = socket.recv_fds(call, 1, 4)
    arguments, env = json.loads(b"".join(iter(lambda: call.recv(65536), b"")))
    child = os.fork()
    if child:
        for fd in fds:
            os.close(fd)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError):
            call.sendall(str(code if code >= 0 else 128 - code).encode())
        os._exit(0)
    call.close()
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.fchdir(fds[3])
    for fd in fds:
        os.close(fd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["migprov", *arguments]


def end(main: Callable[[], None]) -> None:
    """The command and all that comes at an interpreter's end, but for taking apart what was imported: that costs more
    than most commands."""
    code = 0
    try:
        main()
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder
    serve(sys.argv[1])
    from migprov.cli import main

    end(main)
