"""`migprov render` as people run it: files, folders, differences, and nodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from migprov import layouts
from migprov.fleet.slurm import conf
from migprov.sim.nodes import Fleet
from tests.cli.conftest import writes

from .here import Here, here
from .plans import plan_text
from .test_mps import GPU, MIG

__all__ = ["here"]

LAYOUTS = """\
version: v1
mig-configs:
  voice: [{devices: [1], mig-enabled: true, mig-devices: {3g.40gb: 2}}]
  seven: [{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 7}}]
"""
WORKLOADS = """\
workloads:
  - {name: language-model, memory: 73 GiB, headroom: 0%}
  - {name: Speech To Text, memory: 10 GiB, replicas: 3, engines: [decoder]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "layouts.yml").write_text(LAYOUTS)
    (tmp_path / "workloads.yml").write_text(WORKLOADS)
    (tmp_path / "plan.json").write_text(plan_text())
    return tmp_path


def test_a_file_is_written_once_and_compared(here: Here, folder: Path) -> None:
    out = folder / "map.yaml"
    command = ["render", "configmap", folder / "layouts.yml"]
    printed = here(*command)
    assert printed.code == 0
    mask = os.umask(0)
    try:
        assert here(*command, "-o", out).code == 0
    finally:
        os.umask(mask)
    assert out.read_text() == printed.out
    assert out.stat().st_mode & 0o777 == 0o644
    assert layouts.load(out).names == ("all-disabled", "voice", "seven")

    again = here(*command, "-o", out)
    assert (again.code, again.out) == (1, "")
    assert "is there already" in again.err
    same = here(*command, "--diff", out)
    assert (same.code, same.out) == (0, "")
    other = here(*command, "voice", "--diff", out)
    assert other.code == 0
    assert other.out.startswith(f"--- {out}\n+++ {out} (rendered)\n@@ ")
    assert "-      seven:\n" in other.out.replace("\n-    ", "\n-    ")
    assert out.read_text() == printed.out
    assert here(*command, "voice", "-o", out, "--force").code == 0
    assert layouts.load(out).names == ("all-disabled", "voice")
    none = here(*command, "--diff", folder / "none.yaml")
    assert none.out.startswith("--- /dev/null\n")
    assert here(*command, "--diff", out, "-o", out).code == 1


def test_several_files_go_into_a_folder(here: Here, folder: Path) -> None:
    out = folder / "mps"
    command = ["render", "mps", GPU, MIG, "--user", "asr", "--memory", "9.6 GiB"]
    assert here(*command, "-o", out).code == 0
    assert sorted(path.name for path in out.iterdir()) == [f"{GPU}.env", f"{MIG}.env", "migprov-mps@.service"]
    assert "0=9831M" in (out / f"{GPU}.env").read_text()
    assert here(*command, "--diff", out).out == ""
    (out / f"{MIG}.env").unlink()
    refused = here(*command, "-o", out)
    assert refused.code == 1
    assert not (out / f"{MIG}.env").exists()
    told = here(*command, "--diff", out).out
    assert told.startswith("--- /dev/null\n")
    assert GPU not in told
    assert here("render", "mps", GPU, "--memory", "9.6").code == 1
    assert here("render", "mps", "0").code == 1


def test_everything_for_kubernetes_is_yaml(here: Here, folder: Path) -> None:
    workloads, plan = folder / "workloads.yml", folder / "plan.json"
    kinds = []
    for arguments in (
        ["configmap", "--plan", plan],
        ["gpu-operator", "--manager"],
        ["gpu-operator", "--as", "patch", "--strategy", "single"],
        ["pods", workloads, "--plan", plan, "--as", "deployment", "--image", "a:1"],
        ["device-plugin", "--strategy", "mixed", "--time-slicing", "3g.40gb=2", "--configmap", "sharing"],
        ["device-plugin", "--mps", "gpu=4"],
        ["dcgm-exporter"],
        ["dcgm-exporter", "--for", "chart"],
    ):
        answer = here("render", *arguments)
        assert answer.code == 0, answer.err
        kinds += [each.get("kind") for each in yaml.safe_load_all(answer.out)]
    wanted = ["ConfigMap", None, None, "Deployment", "Deployment", "ConfigMap", None, "ConfigMap", None]
    assert kinds == [*wanted, "ConfigMap", None]


def test_what_cannot_be_rendered(here: Here, folder: Path) -> None:
    workloads, plan = folder / "workloads.yml", folder / "plan.json"
    (folder / "other.yml").write_text("workloads: [{name: other, memory: 1 GiB}]\n")
    (folder / "odd.json").write_text('{"cards": [{}]}')
    for arguments in (
        ["configmap"],
        ["configmap", folder / "layouts.yml", "--plan", plan],
        ["configmap", folder / "layouts.yml", "seventeen"],
        ["configmap", folder / "none.yml"],
        ["configmap", "--plan", folder / "odd.json"],
        ["configmap", "--plan", workloads],
        ["gpu-operator", "--as", "patch", "--no-nfd"],
        ["pods", workloads, "--plan", plan, "--as", "deployment"],
        ["pods", workloads, "--plan", plan, "--strategy", "single"],
        ["pods", folder / "other.yml", "--plan", plan],
        ["device-plugin", "--mps", "3g.40gb=2"],
        ["device-plugin", "--mps", "gpu"],
        ["device-plugin", "--time-slicing", "gpu=2", "--time-slicing", "gpu=3"],
        ["device-plugin", "--time-slicing", "gpu=2", "--key", "../x"],
        ["device-plugin", "--mps", "gpu=2", "--several"],
        ["device-plugin", "--rename"],
        ["gpu-operator", "--plugin-config", "sharing", "--plugin-default", "a b"],
        ["dcgm-exporter", "--name", "No"],
        ["labels"],
    ):
        answer = here("render", *arguments)
        assert (answer.code, answer.out) == (1, ""), arguments
        assert answer.err, arguments


@pytest.fixture
def cut(here: Here, fleet: Fleet, folder: Path) -> Fleet:
    """A node with its second card cut."""
    assert here("apply", folder / "layouts.yml", "voice", "-i", fleet.inventory).code == 0
    return fleet


def test_slurm_and_labels_from_nodes(here: Here, cut: Fleet, folder: Path) -> None:
    before = writes(cut)
    where = ["-i", cut.inventory]
    found = here("render", "slurm", *where, "--autodetect")
    assert found.code == 0, found.err
    assert "NodeName=gpu1 AutoDetect=nvml" in found.out
    assert "NodeName=gpu1 Gres=gpu:nvidia_a100-sxm4-80gb:2,gpu:nvidia_a100_3g.39gb:2" in found.out

    slurm = folder / "slurm.conf"
    slurm.write_text("# ours\nNodeName=gpu1 CPUs=2 Gres=gpu:a100:3\nNodeName=gpu2 CPUs=4\n")
    out = folder / "slurm"
    assert here("render", "slurm", *where, "--conf", slurm, "-o", out).code == 0
    edited = (out / "slurm.conf").read_text()
    assert edited.startswith("# ours\n")
    assert edited.endswith("NodeName=gpu2 CPUs=4\n")
    (own,) = [line for line in edited.splitlines() if line.startswith("NodeName=gpu1")]
    gres = own.split("Gres=")[1].split()[0]
    assert conf.gpus_of(gres) == conf.gpus_of("gpu:a100:2,gpu:a100_3g.40gb:2")
    assert (out / "gres.conf").read_text().count("NodeName=gpu1 Name=gpu") == 4

    told = here("render", "labels", *where)
    assert told.code == 0, told.err
    node = yaml.safe_load(told.out)
    assert (node["kind"], node["metadata"]["name"]) == ("Node", "gpu1")
    labels = node["metadata"]["labels"]
    assert labels == {
        "feature.node.kubernetes.io/pci-10de.present": "true",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
        "nvidia.com/gpu.memory": "81920",
        "nvidia.com/gpu.count": "3",
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "mixed",
        "nvidia.com/mig-3g.40gb.count": "2",
        "nvidia.com/mig-3g.40gb.product": "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb",
        "nvidia.com/mig-3g.40gb.memory": "40192",
    }
    planned = yaml.safe_load(here("render", "labels", *where, "--plan", folder / "plan.json").out)
    assert planned["metadata"]["labels"]["nvidia.com/mig.config"] == "plan-1"
    single = here("render", "labels", *where, "--strategy", "single")
    assert (single.code, single.out) == (1, "")
    assert "wants MIG mode on all GPUs" in single.err
    assert writes(cut) == before


def test_half_a_fleet_is_not_rendered(here: Here, fleet: Fleet, tmp_path: Path) -> None:
    gone = tmp_path / "gone.yml"
    gone.write_text("all: {hosts: {gpu9: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n")
    answer = here("render", "labels", "-i", fleet.inventory, "-i", gone, "-o", tmp_path / "labels.yaml")
    assert (answer.code, answer.out) == (4, "")
    assert "it would lack these nodes" in answer.err
    assert not (tmp_path / "labels.yaml").exists()
