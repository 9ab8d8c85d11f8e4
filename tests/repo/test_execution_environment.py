"""The execution environment: what ansible-builder makes of it, and a roll as ansible-runner does it in one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import migprov
from migprov.sim.nodes import Fleet

from .conftest import Controller
from .packages import ROOT, program, run

FOLDER = ROOT / "execution-environment"
DEFINITION = yaml.safe_load((FOLDER / "execution-environment.yml").read_text())
COLLECTIONS = "/usr/share/ansible/collections"


# --- the image's build context --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def context(wheel: Path, tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `ansible-builder create` makes; no container engine takes part."""
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copytree(FOLDER, checkout / FOLDER.name)
    (checkout / "dist").mkdir()
    for package in wheel, tarball:
        shutil.copy(package, checkout / "dist")
    where = ["-f", checkout / FOLDER.name / "execution-environment.yml", "-c", checkout / "context"]
    run([program("ansible-builder"), "create", *where, "--output-filename", "Containerfile"], checkout)
    return checkout / "context"


def test_the_base_image_is_a_build_argument(context: Path) -> None:
    lines = (context / "Containerfile").read_text().splitlines()
    assert f'ARG EE_BASE_IMAGE="{DEFINITION["images"]["base_image"]["name"]}"' in lines
    assert next(line for line in lines if line.startswith("FROM ")) == "FROM $EE_BASE_IMAGE AS base"
    assert 'ARG PYCMD="/usr/bin/python3.12"' in lines


def test_the_image_starts_with_the_ansible_that_the_package_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    asked = [requirement.partition(";")[0] for requirement in project if "< '3.12'" not in requirement]
    dependencies = DEFINITION["dependencies"]
    assert dependencies["ansible_core"]["package_pip"] in asked
    assert dependencies["ansible_runner"]["package_pip"] in asked


def test_what_the_image_gets(context: Path, wheel: Path, tarball: Path, tmp_path: Path) -> None:
    """The steps of the Containerfile that are ours, done here: Galaxy, introspection, pip."""
    text = (context / "Containerfile").read_text()
    inside = context / "_build"
    assert {path.name for path in (inside / "dist").iterdir()} == {wheel.name, tarball.name}
    assert "COPY _build/dist/ /output/dist/\n" in text

    (galaxy,) = re.findall(rf"ansible-galaxy (collection install .*)--collections-path \"{COLLECTIONS}\"", text)
    words = galaxy.replace("$ANSIBLE_GALAXY_CLI_COLLECTION_OPTS", "").split()
    command = [program("ansible-galaxy"), *words, "--collections-path", tmp_path]
    run(command, inside, ANSIBLE_COLLECTIONS_PATH=str(tmp_path), ANSIBLE_COLLECTIONS_SCAN_SYS_PATH="false")
    assert (tmp_path / "ansible_collections/migprov/gpu/MANIFEST.json").exists()

    found = tmp_path / "found"
    written = [f"--write-pip={found}", f"--write-bindep={found}.bindep"]
    said = run([program("ansible-builder"), "introspect", tmp_path, "--user-pip=requirements.txt", *written], inside)
    python, system = (yaml.safe_load(said.partition("---")[2])[kind] for kind in ("python", "system"))
    assert f"migprov=={migprov.__version__}  # from collection migprov.gpu" in python
    assert "migprov[kubernetes]  # from collection user" in python
    assert [line.partition(" ")[0] for line in system] == ["openssh-clients", "openssh-client"]

    found.write_text(found.read_text().replace("/output/", f"{inside}/"))
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "--ignore-installed"]
    assert f"Would install migprov-{migprov.__version__}" in run([*pip, "-r", found], inside)


# --- a roll in it ---------------------------------------------------------------------------------------------------

LAYOUTS = "version: v1\nmig-configs:\n  whole:\n    - {devices: [0], mig-enabled: true, mig-devices: {7g.80gb: 1}}\n"
OF_AWX = {"awx_job_id": 533, "awx_user_name": "alice"}
# What AWX does: an agent holds the key, host keys are not checked unless a variable of the host says so.
RUN = """
import json, sys
import ansible_runner

done = ansible_runner.run(private_data_dir=sys.argv[1], quiet=True, suppress_env_files=True, **json.loads(sys.argv[2]))
print(json.dumps({"status": done.status, "rc": done.rc, "stats": done.stats, "said": done.stdout.read()}))
"""


class Job:
    """A private data directory as AWX makes one: a project, an inventory, a credential; the directory is its user's."""

    def __init__(self, folder: Path, controller: Controller, fleet: Fleet) -> None:
        self.folder, self.controller = folder, controller
        project = folder / "project"
        (project / "layouts").mkdir(parents=True)
        (project / "layouts" / "voice.yml").write_text(LAYOUTS)
        (project / "roll.yml").write_text("- name: Roll\n  ansible.builtin.import_playbook: migprov.gpu.rollout\n")
        shutil.copy(fleet.known_hosts, project)
        inventory = yaml.safe_load(fleet.inventory.read_text())
        group = inventory["all"]["children"]["gpu_nodes"]
        group["vars"] = {
            "ansible_user": "root",
            "ansible_host_key_checking": True,
            "ansible_ssh_common_args": f"-F /dev/null -o UserKnownHostsFile={project}/known_hosts",
        }
        (folder / "inventory").mkdir()
        (folder / "inventory" / "hosts.yml").write_text(yaml.safe_dump(inventory))
        (folder / "env").mkdir()
        (folder / "env" / "ssh_key").write_text(fleet.key.read_text())
        (folder / "home").mkdir()
        folder.chmod(0o700)
        if controller.user:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, controller.user["user"], controller.user["group"])

    def run(self, **options: Any) -> dict[str, Any]:
        environment = {
            "PATH": self.controller.env["PATH"],
            "ANSIBLE_COLLECTIONS_PATH": self.controller.env["ANSIBLE_COLLECTIONS_PATH"],
            "HOME": str(self.folder / "home"),
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
            "ANSIBLE_NOCOLOR": "1",
        }
        extra = {"mig_layout_file": "layouts/voice.yml", "mig_layout_name": "whole", **OF_AWX}
        done = subprocess.run(
            [self.controller.python, "-c", RUN, self.folder, json.dumps({"extravars": extra, **options})],
            cwd="/", env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            **self.controller.user,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told


@pytest.fixture
def job(controller: Controller, fleet: Fleet) -> Iterator[Job]:
    with tempfile.TemporaryDirectory(prefix="migprov-job-") as name:
        Path(name).chmod(0o755)
        yield Job(Path(name) / "job", controller, fleet)


@pytest.mark.long
def test_check_job_then_roll(job: Job, fleet: Fleet) -> None:
    sim = fleet.nodes[0].sim
    check = job.run(playbook="migprov.gpu.rollout", cmdline="--check --diff")
    assert check["status"] == "successful", check["said"]
    assert "7g.80gb" in check["said"]
    assert sim.write_count() == 0

    roll = job.run(playbook="roll.yml")
    assert roll["status"] == "successful", roll["said"]
    assert roll["stats"]["changed"] == {"gpu1": 1}
    assert [gi["profile"] for gi in sim.show()["gpus"][0]["instances"]] == ["7g.80gb"]
    (journal,) = fleet.directory.rglob("journal.jsonl")
    assert "AWX job 533 of alice" in journal.read_text()


def test_host_keys_are_checked_although_awx_says_not_to(job: Job, fleet: Fleet) -> None:
    known = job.folder / "project" / "known_hosts"
    known.write_text("")
    told = job.run(playbook="roll.yml")
    assert told["status"] == "failed"
    assert "Host key verification failed" in told["said"]
    assert fleet.nodes[0].sim.counters() == {}
