"""What Slurm, or its absence, refuses: typed errors that say what was not changed and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from migprov.errors import CallTimeout
from migprov.fleet import slurm
from migprov.fleet.commands import Answer, Commands, Local

from .cluster import Cluster, free_ports


class AsNobody:
    """This machine, as a user who is nothing to Slurm."""

    where = "this machine"

    def run(self, argv: Sequence[str], input: str | None = None, timeout_s: float | None = None) -> Answer:
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
        return Local().run(words, input, timeout_s)


def test_a_node_that_slurm_does_not_know(here: Commands) -> None:
    for refused in (slurm.read, slurm.resume, lambda c, n: slurm.drain(c, n, "voice")):
        with pytest.raises(slurm.UnknownNode, match=r"has no node gn9; nothing was changed.*gpu_drain_slurm_node"):
            refused(here, "gn9")


def test_a_user_who_may_ask_but_not_drain(cluster: Cluster) -> None:
    nobody = slurm.with_conf(AsNobody(), str(cluster.conf))
    assert slurm.read(nobody, "gn0").node.state == "IDLE"
    with pytest.raises(slurm.NoPermission, match=r"may not change nodes.*nothing was changed.*become"):
        slurm.drain(nobody, "gn0", "voice")
    assert cluster.state("gn0") == "IDLE"


def test_no_slurm_here(tmp_path: Path) -> None:
    env = shutil.which("env")
    assert env
    (tmp_path / "env").symlink_to(env)
    commands = slurm.with_conf(Local(), None)
    path = os.environ["PATH"]
    os.environ["PATH"] = str(tmp_path)
    try:
        with pytest.raises(slurm.NoSlurm, match=r"no scontrol on this machine; nothing was changed.*_slurm_host"):
            slurm.drain(commands, "gn0", "voice")
    finally:
        os.environ["PATH"] = path


def test_a_slurm_conf_that_is_none(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text("# nothing\n")
    commands = slurm.with_conf(Local(), str(tmp_path / "slurm.conf"))
    with pytest.raises(slurm.NoSlurm, match=r"find no usable slurm.conf.*gpu_drain_slurm_conf"):
        slurm.read(commands, "gn0")


def test_a_controller_that_is_down(cluster: Cluster, tmp_path: Path) -> None:
    conf = tmp_path / "slurm.conf"
    words = cluster.conf.read_text().splitlines()
    port = f"SlurmctldPort={free_ports(1)[0]}"
    conf.write_text("\n".join(port if word.startswith("SlurmctldPort=") else word for word in words))
    with pytest.raises(slurm.NoController, match=r"slurmctld does not answer this machine.*nothing was changed"):
        slurm.drain(slurm.with_conf(Local(), str(conf)), "gn0", "voice")


def test_a_controller_that_restarts_while_jobs_are_waited_for(cluster: Cluster, here: Commands) -> None:
    job = cluster.submit("gn0")
    process = subprocess.Popen(
        ["sh", "-c", f"sleep 1; {cluster.ctl} restart slurmctld; sleep 1; scancel {job}"], env=cluster.env
    )
    try:
        outcome = slurm.drain(here, "gn0", "voice", timeout_s=90, poll_s=0.3)
    finally:
        process.wait(60)
    assert outcome.fact["by_migprov"]
    assert cluster.state("gn0") == "IDLE+DRAIN"


def test_programs_of_this_machine(tmp_path: Path) -> None:
    here = Local()
    assert here.run(["cat"], "grüezi\n") == Answer(0, "grüezi\n", "")
    assert here.run(["sh", "-c", "echo a; echo b >&2; exit 3"]) == Answer(3, "a\n", "b\n")
    assert here.run(["echo", "$HOME;", "`id`"]).out == "$HOME; `id`\n"
    assert here.run(["no-such-program"]).rc == 127
    assert here.run([str(tmp_path)]).rc == 126
    assert here.run(["sh", "-c", "kill -9 $$"]).rc == -1
    with pytest.raises(CallTimeout, match=r"sleep did not end within 0\.2 s"):
        here.run(["sleep", "30"], timeout_s=0.2)
