"""A machine with a real systemd: a Debian root file system below an overlay, booted in namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_HIERARCHIES = ("", "systemd", "unified", "pids", "memory")
BOOT_LIMIT_S = 60.0
"""Seconds within which a machine has to be up; without anything in the way it takes one."""
_STOP_LIMIT_S = 60.0


class Container:
    """One machine. What it writes lies in `layer`, on top of `below`, and stays from boot to boot.

    It shares the network of this machine, and `shared` folders, which it sees by their names here or by others.
    """

    def __init__(self, folder: Path, below: list[Path], shared: Mapping[Path, str]) -> None:
        self.name = f"migprov-boot-{os.getpid()}-{folder.name}"
        self.root, self.layer, self._work = folder / "root", folder / "layer", folder / "work"
        for path in (self.root, self.layer, self._work):
            path.mkdir(parents=True)
        self._below, self._shared = below, shared
        self._console = folder / "console"
        self._process: subprocess.Popen[bytes] | None = None
        layers = ":".join(map(str, below))
        options = f"lowerdir={layers},upperdir={self.layer},workdir={self._work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)], check=True)

    # --- its life -------------------------------------------------------------------------------------------

    def boot(self) -> str:
        """Start it, wait until systemd has done all it had to, and return what that is: `running`, `degraded`."""
        assert self._process is None
        with self._console.open("ab") as console:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=self._into_cgroups
            )
        try:
            deadline = time.monotonic() + BOOT_LIMIT_S
            while (state := self._state()) in ("", "offline", "unknown", "initializing", "starting"):
                said = self._console.read_text(errors="replace")
                assert self._process.poll() is None, said
                assert time.monotonic() < deadline, (state, self.run("systemctl", "list-jobs", check=False), said)
                time.sleep(0.05)
            return state
        except BaseException:
            self.cut_power()
            raise

    def shut_down(self) -> None:
        """End it as `poweroff` does."""
        if self._process is not None:
            self._process.terminate()
            self._ended()

    def cut_power(self) -> None:
        """End it as it is."""
        if self._process is not None:
            for pid in self._first(), self._process.pid:
                if pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            self._ended()

    def remove(self) -> None:
        """End it and remove what it used here, but for its layer."""
        self.cut_power()
        subprocess.run(["umount", "--lazy", str(self.root)], check=False)
        deadline = time.monotonic() + _STOP_LIMIT_S
        for path in self._cgroups():
            # The kernel is still ending what was in them.
            while not _removed(path) and time.monotonic() < deadline:
                time.sleep(0.05)

    # --- inside ---------------------------------------------------------------------------------------------

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        enter = ["nsenter", "-t", str(self._first()), "-m", "-u", "-i", "-n", "-p", "-C", "--root", "--wd"]
        done = subprocess.run(
            [*enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (command, done)
        return done

    def show(self, unit: str, *properties: str) -> list[str]:
        """Properties of a unit."""
        shown = self.run("systemctl", "show", unit, *(f"-p{name}" for name in properties)).stdout.splitlines()
        found = dict(line.split("=", 1) for line in shown)
        return [found[name] for name in properties]

    def write(self, path: str, text: str) -> None:
        """Write a file of root's, also while it is down."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    # --- how ------------------------------------------------------------------------------------------------

    def _command(self) -> list[str]:
        """nspawn of the root file system itself, so that this machine needs none."""
        lowest = self._below[-1]
        library = next(lowest.glob("usr/lib/*-linux-gnu*/systemd")).parent
        loader = next(path for path in (*library.glob("ld-linux*.so*"), *lowest.glob("usr/lib64/ld-linux*.so*")))
        nspawn = [str(loader), "--library-path", f"{library}:{library}/systemd", str(lowest / "usr/bin/systemd-nspawn")]
        options = [
            "--quiet",
            "--boot",
            "--register=no",
            "--console=pipe",
            "--kill-signal=SIGRTMIN+4",
            "--link-journal=no",
        ]
        keep = [] if Path("/run/systemd/system").exists() else ["--keep-unit"]
        shared = [f"--bind={here}:{there}" for here, there in self._shared.items()]
        return [*nspawn, *options, *keep, f"--machine={self.name}", f"--directory={self.root}", *shared]

    def _cgroups(self) -> Iterator[Path]:
        for name in _HIERARCHIES:
            hierarchy = _CGROUPS / name
            if (hierarchy / "cgroup.procs").exists():
                yield hierarchy / self.name

    def _into_cgroups(self) -> None:
        """nspawn gets cgroups of its own: systemd in it would move into this machine's otherwise."""
        for path in self._cgroups():
            path.mkdir(exist_ok=True)
            (path / "cgroup.procs").write_text(str(os.getpid()))

    def _first(self) -> int | None:
        """The pid, here, of the first process in it."""
        assert self._process is not None
        try:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            return next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"), None)
        except FileNotFoundError:
            return None

    def _state(self) -> str:
        if self._first() is None:
            return ""
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def _ended(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(_STOP_LIMIT_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None


def _removed(cgroup: Path) -> bool:
    for folder, _inner, _files in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not cgroup.exists()


def missing() -> str | None:
    """Why no machine can be booted here; None when one can."""
    if os.geteuid() != 0:
        return "booting a systemd takes root"
    for tool in ("mount", "nsenter", "unshare"):
        if shutil.which(tool) is None:
            return f"booting a systemd takes {tool}"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True).returncode:
        return "namespaces cannot be made here"
    if not os.access(_CGROUPS, os.W_OK) and not os.access(_CGROUPS / "unified", os.W_OK):
        return "cgroups cannot be made here"
    return None
