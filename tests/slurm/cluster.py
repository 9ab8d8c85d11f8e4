"""A real Slurm cluster on this machine: munged, slurmctld and a slurmd for each node, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "scontrol", "squeue", "sbatch", "scancel")
_LIMIT_S = 45.0

# What systemctl is elsewhere: `ctl start|stop|restart slurmctld|NODE`. Each call is written down.
_CTL = """#!/bin/sh
set -eu
cd {folder}
echo "$1 $2" >>ctl.log
end() {{
    [ -s "run/$1.pid" ] || return 0
    pid=$(cat "run/$1.pid")
    kill "$pid" 2>/dev/null || :
    while [ -e "/proc/$pid/exe" ] && readlink "/proc/$pid/exe" >/dev/null; do sleep 0.05; done
    rm -f "run/$1.pid"
}}
begin() {{
    case $1 in
    slurmctld) slurmctld -f {folder}/slurm.conf ;;
    *) slurmd -N "$1" -f {folder}/slurm.conf ;;
    esac
}}
case $1 in
start) begin "$2" ;;
stop) end "$2" ;;
restart) end "$2"; begin "$2" ;;
esac
"""


def missing() -> str | None:
    """Why a cluster cannot be started here; None when it can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"Slurm is not installed here ({', '.join(absent)}): apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "a Slurm cluster of several nodes on one machine takes root"
    return None


class Cluster:
    """Nodes with `gpus` devices each, of the type `h200`; with `one_line` one line of slurm.conf defines them all."""

    def __init__(
        self, folder: Path, nodes: Sequence[str] = ("gn0", "gn1"), gpus: int = 2, one_line: bool = False
    ) -> None:
        self.folder = folder
        self.nodes = list(nodes)
        self.gpus = gpus
        self.conf = folder / "slurm.conf"
        self.gres = folder / "gres.conf"
        self.dev = folder / "dev"
        self.ctl = folder / "ctl"
        self._write(one_line)

    # -- its life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and wait until the nodes are idle."""
        run = self.folder / "run"
        self._do(
            "munged",
            "--force",
            *(f"--{name}={run / name}" for name in ("pid-file", "log-file", "seed-file")),
            f"--key-file={self.folder / 'munge.key'}",
            f"--socket={run / 'munge.socket'}",
        )
        for name in ("slurmctld", *self.nodes):
            self.control("start", name)
        self.until(lambda: all(self.state(node) == "IDLE" for node in self.nodes), "the nodes are idle")
        (self.folder / "ctl.log").write_text("")

    def end(self) -> None:
        """End every process of it, by pid, jobs too."""
        end(self.folder)

    def control(self, verb: str, what: str) -> None:
        """Start, stop or restart `slurmctld` or the slurmd of a node."""
        self._do(str(self.ctl), verb, what)

    def calls(self) -> list[str]:
        """What `ctl` was asked for since the start."""
        return (self.folder / "ctl.log").read_text().splitlines()

    # -- what it says --------------------------------------------------------------------------------------------

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def do(self, *words: str) -> str:
        """A command of Slurm that must succeed."""
        return self._do(*words).stdout

    def show(self, node: str, field: str) -> str:
        """A field of `scontrol show node`."""
        text = self.do("scontrol", "show", "node", node)
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{field}="))
        value = line.strip().partition("=")[2]
        return value if field == "Reason" else value.split()[0]

    def state(self, node: str) -> str:
        return self.show(node, "State")

    def drain(self, node: str, reason: str) -> None:
        self.do("scontrol", "update", f"nodename={node}", "state=drain", f"reason={reason}")

    def sinfo(self) -> str:
        """What people look at."""
        return self.do("sinfo", "--noheader", "-N", "-o", "%N %T %E %G")

    # -- its jobs ------------------------------------------------------------------------------------------------

    def submit(self, node: str, *options: str, name: str = "train", runs: bool = True) -> str:
        """A batch job that sleeps on `node`; its id, once it runs."""
        words = ["--parsable", "--output=/dev/null", f"--job-name={name}", f"--nodelist={node}", *options]
        job = self.do("sbatch", *words, "--wrap=exec sleep 600").strip()
        if runs:
            self.until(lambda: self.job(job) == "RUNNING", f"job {job} runs")
        return job

    def job(self, job: str) -> str:
        """Its state; empty when it is forgotten."""
        return self.do("squeue", "--noheader", f"--jobs={job}", "--format=%T").strip()

    def until(self, what: Callable[[], bool], words: str) -> None:
        limit = time.monotonic() + _LIMIT_S
        while not what():
            assert time.monotonic() < limit, f"never: {words}\n{self.sinfo()}"
            time.sleep(0.05)

    def clean(self) -> None:
        """No jobs, every node idle, as after the start."""
        self.do("scancel", "--user=root")
        self.until(lambda: not self.do("squeue", "--noheader"), "no job is left")
        for node in self.nodes:
            if "DRAIN" in self.state(node) or "DOWN" in self.state(node):
                self.do("scontrol", "update", f"nodename={node}", "state=resume")
        self.until(lambda: all(self.state(node) == "IDLE" for node in self.nodes), "the nodes are idle")
        (self.folder / "ctl.log").write_text("")

    # -- its files -----------------------------------------------------------------------------------------------

    def _write(self, one_line: bool) -> None:
        for name in ("run", "state", "spool", "dev/nvidia-caps"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o400)
        self.ctl.write_text(_CTL.format(folder=self.folder))
        self.ctl.chmod(0o755)
        for number in range(self.gpus):
            self.device(f"nvidia{number}", number)
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        self.conf.write_text(self._conf(one_line))
        names = ",".join(self.nodes)
        self.gres.write_text(f"NodeName={names} Name=gpu Type=h200 File={self.dev}/nvidia[0-{self.gpus - 1}]\n")

    def device(self, name: str, minor: int) -> None:
        """A character device, as Slurm insists on; no driver stands behind it."""
        os.mknod(self.dev / name, 0o666 | stat.S_IFCHR, os.makedev(195, minor))

    def _conf(self, one_line: bool) -> str:
        host = socket.gethostname().split(".")[0]
        ports = free_ports(len(self.nodes) + 1)
        own = f"NodeHostname={host} NodeAddr=127.0.0.1"
        rest = f"CPUs=4 RealMemory=1000 Gres=gpu:h200:{self.gpus}"
        if one_line:
            nodes = [f"NodeName={','.join(self.nodes)} {own} Port={','.join(map(str, ports[1:]))} {rest}"]
        else:
            nodes = [f"NodeName={n} {own} Port={port} {rest}" for n, port in zip(self.nodes, ports[1:], strict=True)]
        return "\n".join(
            [
                "ClusterName=migprov",
                f"SlurmctldHost={host}(127.0.0.1)",
                f"SlurmctldPort={ports[0]}",
                "SlurmUser=root",
                "SlurmdUser=root",
                f"AuthInfo=socket={self.folder}/run/munge.socket",
                f"StateSaveLocation={self.folder}/state",
                f"SlurmdSpoolDir={self.folder}/spool/%n",
                f"SlurmctldPidFile={self.folder}/run/slurmctld.pid",
                f"SlurmdPidFile={self.folder}/run/%n.pid",
                f"SlurmctldLogFile={self.folder}/run/slurmctld.log",
                f"SlurmdLogFile={self.folder}/run/%n.log",
                "ProctrackType=proctrack/linuxproc",
                "TaskPlugin=task/none",
                "JobAcctGatherType=jobacct_gather/none",
                "SelectType=select/cons_tres",
                "SelectTypeParameters=CR_Core",
                "GresTypes=gpu",
                "MpiDefault=none",
                "ReturnToService=2",
                "RebootProgram=/bin/true",
                "SlurmdParameters=config_overrides",
                "SchedulerType=sched/builtin",
                "SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0",
                *nodes,
                "PartitionName=p Nodes=ALL Default=YES State=UP",
                "",
            ]
        )

    def _do(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done


def end(folder: Path) -> None:
    """End every process of the cluster in that folder, by pid, jobs too."""
    for _ in range(100):
        pids = processes(folder)
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    raise AssertionError(f"these do not end: {processes(folder)}")


def processes(folder: Path) -> list[int]:
    """Every process whose environment, command line or pid file names the folder."""
    mark = str(folder).encode() + b"/"
    found = [_pid(file) for file in (folder / "run").glob("*pid*")]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                words, environment = ((entry / name).read_bytes() for name in ("cmdline", "environ"))
                if mark in words or b"SLURM_CONF=" + mark in environment:
                    found.append(int(entry.name))
    return [pid for pid in dict.fromkeys(found) if _runs(pid)]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _pid(file: Path) -> int:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return 0


def _runs(pid: int) -> bool:
    try:
        os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False
    return pid > 0
