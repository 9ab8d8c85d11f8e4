"""Simulated nodes for the traps, and the counting of what is done to them: from the driver's own log of writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from migprov.sim.driver import SimNode

from .program import Server, server

Json = dict[str, Any]


class Counts(NamedTuple):
    """GPU instances destroyed and created, changes of the MIG mode, and resets; refused calls count as well."""

    destroyed: int = 0
    created: int = 0
    modes: int = 0
    resets: int = 0

    def __str__(self) -> str:
        return " / ".join(str(number) for number in self)


class Family(NamedTuple):
    """A product and the profiles by which the traps are set on it."""

    product: str
    small: str
    slots: int
    half: str
    whole: str
    wrong: str
    mix: tuple[str, ...]
    impossible: tuple[str, ...]
    ampere: bool

    @property
    def kept_in_mix(self) -> int:
        """How many small instances the mix keeps."""
        return self.mix.count(self.small)


FAMILIES = (
    Family("A100-40GB", "1g.5gb", 7, "3g.20gb", "7g.40gb", "1g.12gb",
           ("3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"),
           ("3g.20gb", "2g.10gb", "1g.10gb", "1g.10gb", "1g.5gb+me", "1g.5gb", "1g.5gb", "1g.5gb"), True),
    Family("A30-24GB", "1g.6gb", 4, "2g.12gb", "4g.24gb", "1g.5gb",
           ("2g.12gb", "1g.6gb", "1g.6gb"), ("2g.12gb", "1g.6gb", "1g.6gb", "1g.6gb"), True),
    Family("H100-80GB-SXM", "1g.10gb", 7, "3g.40gb", "7g.80gb", "1g.5gb",
           ("3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"),
           ("3g.40gb", "2g.20gb", "1g.20gb", "1g.20gb", "1g.10gb+me", "1g.10gb", "1g.10gb", "1g.10gb"), False),
    Family("H200-141GB", "1g.18gb", 7, "3g.71gb", "7g.141gb", "1g.10gb",
           ("3g.71gb", "2g.35gb", "1g.18gb", "1g.18gb"),
           ("3g.71gb", "2g.35gb", "1g.35gb", "1g.35gb", "1g.18gb+me", "1g.18gb", "1g.18gb", "1g.18gb"), False),
    Family("RTX-PRO-6000-BLACKWELL-96GB", "1g.24gb", 4, "2g.48gb", "4g.96gb", "1g.18gb",
           ("2g.48gb", "1g.24gb", "1g.24gb"), ("2g.48gb", "1g.24gb", "1g.24gb", "1g.24gb"), False),
)  # fmt: skip


class Node:
    """A node to set a trap on."""

    def __init__(self, folder: Path, runner: Server, environment: dict[str, str]) -> None:
        self.sim = SimNode.open(folder)
        self._home = folder / "home"
        self._home.mkdir(exist_ok=True)
        self._runner = runner
        self._env = {**environment, "HOME": str(self._home), "MIGPROV_SIM_STATE": str(folder / "state")}

    def ask(self, task: str, *, wait_s: float = 0, runner: Server | None = None, **params: Any) -> Json:
        """The reply, which there must be."""
        request = {"protocol": 1, "task": task, "params": params, "wait_s": wait_s, "who": "traps"}
        ended = (runner or self._runner).run(request, self._env)
        if ended.reply is None or ended.stderr:
            raise AssertionError(f"{task}: {ended}")
        return ended.reply

    def layout(self, *instances: Any, gpus: Any = "all", **how: Any) -> Json:
        """Ask for these instances."""
        return self.ask("layout", entries=[entry(*instances, gpus=gpus)], **how)

    def holds(self, *instances: Any, gpus: Any = "all") -> bool:
        """Whether the node is exactly so: what `verify` says."""
        return self.ask("verify", entries=[entry(*instances, gpus=gpus)])["error"] is None

    def hold(self, gpu: int, start: int) -> int:
        """Let a process work on the instance at that slice; its pid."""
        instances = self.sim.show()["gpus"][gpu]["instances"]
        found = next(gi for gi in instances if gi["start"] == start)
        return int(self.sim.hold(gpu, 256, mig_uuid=found["compute_instances"][0]["uuid"]))

    def counts(self) -> Counts:
        """What was done since the trap was set."""
        calls = [write["call"] for write in self.sim.writes()]
        return Counts(
            destroyed=calls.count("nvmlGpuInstanceDestroy"),
            created=sum(call.startswith("nvmlDeviceCreateGpuInstance") for call in calls),
            modes=calls.count("nvmlDeviceSetMigMode"),
            resets=calls.count("migprovSimResetGpu"),
        )


class Bench:
    """Makes nodes; those cut alike are cut once and copied."""

    def __init__(self, folder: Path, runner: Server, environment: dict[str, str]) -> None:
        self._folder = folder
        self._runner = runner
        self._env = environment
        self._numbers = count()
        self._ready: dict[tuple[str, str], Path] = {}
        self._made: list[SimNode] = []

    def plain(self, gpus: str) -> Node:
        """A node as it comes: MIG off."""
        folder = self._folder / f"node{next(self._numbers)}"
        sim = SimNode.create(folder, gpus)
        self._made.append(sim)
        return Node(folder, self._runner, {**self._env, **sim.env()})

    def cut(self, gpus: str, profile: str, number: int) -> Node:
        """A node on which every GPU has `number` instances of `profile`; its log of writes is empty."""
        if (gpus, profile) not in self._ready:
            first = self.plain(gpus)
            reply = first.layout(*[profile] * number)
            assert reply["error"] is None, reply["error"]
            self._ready[gpus, profile] = first.sim.directory
        origin = self._ready[gpus, profile]
        folder = self._folder / f"node{next(self._numbers)}"
        shutil.copytree(origin, folder, ignore=shutil.ignore_patterns("home"))
        (folder / "state.writes").write_text("")
        sim = SimNode.open(folder)
        sim.reset_counters()
        self._made.append(sim)
        return Node(folder, self._runner, {**self._env, **sim.env()})

    def end(self) -> None:
        """End every process that was started."""
        for sim in self._made:
            for pid in sim.holders():
                sim.release(pid)


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A bench in `folder`; what it started ends with it."""
    sim = SimNode.create(folder / "library", "1xT4")
    with server(sim.env()) as runner:
        made = Bench(folder, runner, {})
        try:
            yield made
        finally:
            made.end()


def entry(*instances: Any, gpus: Any = "all", enabled: bool = True) -> Json:
    """One entry of a request."""
    return {"devices": gpus, "mig_enabled": enabled, "instances": list(instances)}
