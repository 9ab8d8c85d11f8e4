"""The three ways in, each doing the same job over real OpenSSH."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import migprov
from migprov import layouts
from migprov.sim.nodes import FleetNode

Step = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a run says of itself."""

    changed: bool
    steps: list[Step]


@dataclass(frozen=True)
class Job:
    """A layout of a file for one node."""

    node: FleetNode
    file: Path
    layout: str
    scratch: Path


def command_line(job: Job, *, check: bool) -> Outcome:
    """`migprov apply`."""
    command = ["migprov", "apply", str(job.file), job.layout, "-i", str(job.node.inventory), "--json"]
    done = subprocess.run([*command, *(["--check"] if check else [])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert (answer["host"], answer["failed"]) == (job.node.name, False)
    return Outcome(answer["changed"], answer["steps"])


def library(job: Job, *, check: bool) -> Outcome:
    """`import migprov`."""
    with migprov.connect(
        job.node.host,
        port=job.node.port,
        user=job.node.user,
        key_files=[str(job.node.key)],
        known_hosts=str(job.node.known_hosts),
        become=True,
    ) as node:
        result = node.layout(layouts.load(job.file).layout(job.layout), check=check)
    return Outcome(result.changed, list(result.steps))


def ansible(job: Job, *, check: bool) -> Outcome:
    """`ansible-playbook migprov.gpu.rollout`."""
    record = job.scratch / "tasks.jsonl"
    record.unlink(missing_ok=True)
    command = ["ansible-playbook", "migprov.gpu.rollout", "-i", str(job.node.inventory)]
    command += ["-e", f"mig_layout_file={job.file}", "-e", f"mig_layout_name={job.layout}"]
    environment = os.environ | {
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "record_tasks",
        "RECORD_TASKS": str(record),
    }
    done = subprocess.run(
        [*command, *(["--check"] if check else [])],
        env=environment,
        cwd=job.scratch,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tasks = [json.loads(line) for line in record.read_text().splitlines()]
    # The turn looks once more before it changes.
    (layout,) = [task for task in tasks if task["name"].endswith("Bring the GPUs to the layout")]
    return Outcome(any(task["result"].get("changed") for task in tasks), layout["result"]["steps"])
