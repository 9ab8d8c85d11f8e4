"""The playbook that rolls a fleet, with Slurm: real Slurm, real Ansible, simulated GPUs behind real OpenSSH."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ansible.plays import Ansible, Run

from .cluster import Cluster

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

LAYOUTS = Path(__file__).resolve().parents[2] / "inventories" / "layouts" / "voice.yml"
NAMES = ["gpu1", "gpu2"]
pytestmark = pytest.mark.timeout(600)  # Ansible on a machine that has other work

DRAIN = "Let Slurm give the node no new jobs, and wait for those that run"
VOICE = "gpu:a100:2,gpu:a100_3g.40gb:2"


@pytest.fixture
def slurm(make_cluster: Callable[..., Cluster]) -> Cluster:
    """Nodes named as the simulated ones, in one line of slurm.conf, and a device for whatever an instance may need."""
    cluster = make_cluster(nodes=NAMES, gpus=3, one_line=True)
    for minor in range(1, 3 + 3 * 135):
        cluster.device(f"nvidia-caps/nvidia-cap{minor}", 1000 + minor)
    return cluster


@pytest.fixture
def two(make_fleet: Callable[..., Fleet]) -> Fleet:
    return make_fleet(nodes=2)


class Roll:
    """The playbook with the variables of that cluster."""

    def __init__(self, ansible: Ansible, cluster: Cluster) -> None:
        self.ansible = ansible
        self.variables = {
            "mig_layout_file": str(LAYOUTS),
            "mig_layout_name": "voice",
            "mig_layout_scheduler": "slurm",
            "mig_layout_steps": "1",
            "gpu_drain_slurm_host": "localhost",
            "gpu_drain_slurm_conf": str(cluster.conf),
            "gpu_drain_slurm_gres": "explicit",
            "gpu_drain_slurm_dev": str(cluster.dev),
            # as text or as a list
            "gpu_drain_slurm_slurmctld_restart": f"{cluster.ctl} restart slurmctld",
            "gpu_drain_slurm_slurmd_stop": f"{cluster.ctl} stop {{{{ inventory_hostname }}}}",
            "gpu_drain_slurm_slurmd_start": [str(cluster.ctl), "start", "{{ inventory_hostname }}"],
        }

    def __call__(self, *arguments: str, **variables: object) -> Run:
        given = json.dumps({**self.variables, **variables})
        return self.ansible.playbook("migprov.gpu.rollout", "-e", given, *arguments)


@pytest.fixture
def roll(two: Fleet, slurm: Cluster, tmp_path: Path) -> Roll:
    return Roll(Ansible(tmp_path, two.inventory), slurm)


@pytest.mark.long
def test_a_roll_that_slurm_refuses_changes_nothing_and_the_next_one_brings_the_new_gres(
    roll: Roll, two: Fleet, slurm: Cluster
) -> None:
    before, conf = slurm.sinfo(), slurm.conf.read_text()
    job = slurm.submit("gpu1", "--gres=gpu:h200:1")
    busy = slurm.sinfo()
    refused = roll(gpu_drain_slurm_timeout=1)
    assert refused.rc == 2, refused.output
    assert f"job {job} (train, user root" in refused.output
    slurm.until(lambda: slurm.sinfo() == busy, "gpu1 is in service as before")
    assert slurm.job(job) == "RUNNING"
    assert [node.sim.write_count() for node in two] == [0, 0]
    assert (slurm.conf.read_text(), slurm.calls()) == (conf, [])
    slurm.clean()

    waits = slurm.submit("gpu1", "--begin=now+1hour", runs=False)
    slurm.drain("gpu2", "bad fan")
    done = roll(mig_layout_steps="2")
    assert done.rc == 0, done.output
    assert slurm.sinfo() == before.replace("gpu2 idle none", "gpu2 drained bad fan").replace("gpu:h200:3", VOICE)
    assert slurm.job(waits) == "PENDING"
    assert all(node.sim.write_count() > 0 for node in two)
    # both nodes of the batch share one restart, and no slurmd runs while slurmctld learns of the new devices
    calls = slurm.calls()
    assert sorted(calls) == ["restart slurmctld", *(f"{verb} {name}" for verb in ("start", "stop") for name in NAMES)]
    assert sorted(calls[:2]) == ["stop gpu1", "stop gpu2"]
    assert calls[2] == "restart slurmctld"
    # handed out for real, through the device files of the instances
    asked = slurm.do("srun", "--nodelist=gpu1", "--gres=gpu:a100_3g.40gb:2", "sh", "-c", "echo $SLURM_STEP_GPUS")
    assert len(asked.strip().split(",")) == 2
