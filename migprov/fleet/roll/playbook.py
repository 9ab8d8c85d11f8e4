"""One playbook, run by a keeper process, as an iterator of what happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ...errors import MigprovError
from . import folder

_KEEPER = [sys.executable, "-P", "-m", "migprov.fleet.roll.keeper"]


class PlaybookFailed(MigprovError):
    """ansible-playbook, or the process that keeps it, could not be run to its end."""


@dataclass(frozen=True)
class Job:
    """What ansible-playbook is to do.

    `playbook`: a name in a collection, a path, or plays. `hosts`: None for all of the inventory. `extra`: variables,
    or `@FILE`; the later ones win. `cwd`: where relative paths and ansible.cfg are looked for.
    """

    playbook: str | list[dict[str, Any]]
    inventory: tuple[str, ...]
    cwd: str
    hosts: tuple[str, ...] | None = None
    extra: tuple[Mapping[str, Any] | str, ...] = ()
    tags: str | None = None
    skip_tags: str | None = None
    check: bool = False
    diff: bool = False
    forks: int | None = None


Began = Callable[[int, int], object]


def run(job: Job, private: Path, began: Began = lambda _pid, _ticks: None) -> Iterator[dict[str, Any]]:
    """Run the job and yield what `keeper.py` tells, the `end` last.

    `private` is a folder that is made and removed. `began` is called with the keeper's process and its start (clock
    ticks) before anything is done: what it writes down is true when the first node is contacted. The keeper is never
    ended: when this iterator is dropped, ansible-playbook goes on to its end.

    Raises:
        PlaybookFailed: it cannot be started, or its keeper was killed.
    """
    try:
        process = subprocess.Popen(
            _KEEPER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=job.cwd,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise PlaybookFailed(f"ansible-playbook cannot be started in {job.cwd}: {error.strerror}.") from error
    leave, told = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
    ended = False
    try:
        _hand_over(job, private, process, leave, began)
        for line in told:
            what: dict[str, Any] = json.loads(line)
            ended = what["event"] == "end"
            yield what
    finally:
        told.close()
        if not leave.closed:
            leave.close()
        if ended:
            process.wait()
    if not ended:
        raise PlaybookFailed(
            f"The process {process.pid} that kept ansible-playbook was ended from outside (exit status "
            f"{process.wait()}); what its nodes are is not known.",
            next="migprov rollout --resume, which looks at every node first",
        )


def _hand_over(job: Job, private: Path, process: subprocess.Popen[str], leave: IO[str], began: Began) -> None:
    try:
        leave.write(json.dumps({**job.__dict__, "private": str(private)}) + "\n")
        leave.flush()
        began(process.pid, folder.start_ticks(process.pid) or 0)
        leave.write("go\n")
        leave.flush()
    except OSError as error:
        raise PlaybookFailed(
            f"The process that keeps ansible-playbook did not start: {os.strerror(error.errno or 0)}"
        ) from error
