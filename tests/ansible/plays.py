"""Runs ansible-playbook, the real one, and returns what each task came to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .returns import untrue

CALLBACKS = Path(__file__).parent / "callbacks"
VOICE = [{"devices": [1], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]
"""The voice pipeline's layout: GPU 1 in two halves, the others left alone."""


@dataclass(frozen=True)
class Task:
    """One result: `status` is ok, failed, unreachable or skipped."""

    status: str
    host: str
    task: str
    action: str
    result: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A finished ansible-playbook."""

    rc: int
    tasks: list[Task]
    output: str

    def of(self, task: str, host: str | None = None) -> Task:
        """The one result of the task of that name (on that host)."""
        found = [t for t in self.tasks if _is(t, task) and host in (None, t.host)]
        assert len(found) == 1, (task, found, self.output)
        return found[0]

    def hosts(self, task: str, status: str = "ok") -> list[str]:
        """The hosts on which that task came to that, in order."""
        return [t.host for t in self.tasks if _is(t, task) and t.status == status]

    def result(self, task: str) -> dict[str, Any]:
        """The result of the one task of that name, which must have succeeded."""
        found = self.of(task)
        assert found.status == "ok", self.output
        return found.result


def _is(result: Task, name: str) -> bool:
    # A role puts its own name in front: "migprov.gpu.mig_layout : Check the driver".
    return result.task == name or result.task.endswith(f" : {name}")


class Ansible:
    """ansible-playbook, started in an empty folder."""

    def __init__(self, folder: Path, inventory: Path | None) -> None:
        self.folder = folder
        self.inventory = inventory

    def playbook(self, name: str | Path, *arguments: str, env: Mapping[str, str] | None = None) -> Run:
        """Run a playbook by path or by its name in the collection. What RETURN says has to be true of each task."""
        record = self.folder / "record.jsonl"
        record.unlink(missing_ok=True)
        where = ["-i", str(self.inventory)] if self.inventory else []
        done = self.command("ansible-playbook", *where, str(name), *arguments, env=env)
        lines = record.read_text().splitlines() if record.exists() else []
        tasks = [Task(**json.loads(line)) for line in lines]
        lies = [said for task in tasks for said in untrue(task.action, task.status, task.result)]
        assert lies == [], done.stdout + done.stderr
        return Run(done.returncode, tasks, done.stdout + done.stderr)

    def play(
        self,
        tasks: Iterable[Mapping[str, Any]],
        *arguments: str,
        hosts: str = "all",
        env: Mapping[str, str] | None = None,
        **keywords: Any,
    ) -> Run:
        """Run one play made of these tasks; `keywords` are those of the play."""
        play = {"name": "Play", "hosts": hosts, "gather_facts": False, **keywords, "tasks": list(tasks)}
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play], sort_keys=False))
        return self.playbook(path, *arguments, env=env)

    def command(
        self, program: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of ansible-core from the same virtual environment."""
        environment = {
            **os.environ,
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "recorder",
            "MIGPROV_TEST_RECORD": str(self.folder / "record.jsonl"),
            **(env or {}),
        }
        try:
            return subprocess.run(
                [str(Path(sys.executable).parent / program), *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            said = b"".join(part for part in (late.stdout, late.stderr) if isinstance(part, bytes)).decode()
            raise AssertionError(f"no end within {late.timeout:g} s: {said}") from None
