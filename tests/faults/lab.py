"""A node on which one change can be tried again and again, each time from the same beginning, and what must be true.

Each try has a copy of the node's state of its own, so tries do not follow from one another and may run at once.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from migprov.sim.driver import SimNode

from .program import Ended, Server, server
from .transitions import Transition, entries, standing

ACTIONS = {
    "nvmlDeviceSetMigMode": "set_mig_mode",
    "migprovSimResetGpu": "reset_gpu",
    "nvmlDeviceCreateGpuInstanceWithPlacement": "create_gpu_instance",
    "nvmlGpuInstanceDestroy": "destroy_gpu_instance",
    "nvmlGpuInstanceCreateComputeInstance": "create_compute_instance",
    "nvmlGpuInstanceCreateComputeInstanceWithPlacement": "create_compute_instance",
    "nvmlComputeInstanceDestroy": "destroy_compute_instance",
}
Json = dict[str, Any]


class Point(NamedTuple):
    """The `nth` call (from 0) of an NVML function that writes, in a run that nothing disturbs."""

    call: str
    nth: int


class Try:
    """One copy of the node, with a home of its own."""

    def __init__(self, lab: Lab, folder: Path, runner: Server) -> None:
        self.lab = lab
        self.runner = runner
        self.sim = SimNode.open(folder)
        self.home = folder / "home"
        self.home.mkdir()
        self._env = {"HOME": str(self.home), "MIGPROV_SIM_STATE": str(folder / "state")}

    def run(self, task: str, *, step_limit_s: float = 120, **params: Any) -> Ended:
        """Run the program on it."""
        request = {"protocol": 1, "task": task, "params": params, "wait_s": 0, "step_limit_s": step_limit_s}
        ended = self.runner.run({**request, "who": "tests"}, self._env)
        assert ended.stderr == "", ended.stderr
        return ended

    def change(self, **how: Any) -> Ended:
        """The lab's change."""
        return self.run("layout", entries=entries(self.lab.transition.end), **how)

    def ask(self, task: str, **params: Any) -> Json:
        """The reply to a task that must be answered without an error."""
        reply = self.run(task, **params).reply
        assert reply is not None
        assert reply["error"] is None, reply["error"]
        return reply

    def cards(self) -> list[Json]:
        """What the driver itself says of each card."""
        return [_card(gpu) for gpu in self.sim.show()["gpus"]]

    def done(self) -> list[Json]:
        """The writes that the driver did, as steps; a reset that belongs to a change of mode is not one."""
        found = [_as_step(write) for write in self.sim.writes() if write["result"] == 0]
        return [step for at, step in enumerate(found) if not (_is(step, "reset_gpu") and _follows_mode(found, at))]

    def lock_is_free(self) -> bool:
        """Whether the node's lock can be had at once."""
        path = self.home / ".cache/migprov/lock"
        if not path.exists():
            return True  # it ended before it came to the lock
        with path.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def journal(self) -> list[Json]:
        """The lines of the journal."""
        path = self.home / ".local/state/migprov/journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Lab:
    """A node of two GPUs: the first one changes, the other one must not."""

    def __init__(self, transition: Transition, folder: Path, runner: Server, env: dict[str, str]) -> None:
        self.transition = transition
        self.server = runner
        self.environment = env
        self._folder = folder
        self._numbers = count(1)
        self.begin: list[Json] = []
        self.planned: list[Json] = []
        self.writes: list[Json] = []
        self.points: list[Point] = []
        self.end: list[Json] = []
        self.kept: set[int] = set()

    @contextmanager
    def one(self, runner: Server | None = None) -> Iterator[Try]:
        """A fresh copy of the node. A runner of its own for tries at the same time."""
        folder = self._folder / f"try{next(self._numbers)}"
        folder.mkdir()
        shutil.copyfile(self._folder / "node/state", folder / "state")
        (folder / "state.writes").touch()
        try:
            yield Try(self, folder, runner or self.server)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def prepare(self, node: SimNode) -> None:
        """Cut both cards, put work on them, and learn what an undisturbed run does."""
        first = {"devices": [0], "mig_enabled": self.transition.begin is not None}
        other = {"devices": [1], "mig_enabled": True, "instances": standing(self.transition.product)}
        home = self._folder / "home"
        home.mkdir()
        wanted = [{**first, "instances": self.transition.begin or []}, other]
        request = {"protocol": 1, "task": "layout", "params": {"entries": wanted}}
        ended = self.server.run(request, {"HOME": str(home), "MIGPROV_SIM_STATE": str(node.directory / "state")})
        assert ended.reply is not None
        assert ended.reply["error"] is None, ended
        gpus = node.show()["gpus"]
        node.hold(1, 512, mig_uuid=gpus[1]["instances"][0]["compute_instances"][0]["uuid"])
        if self.transition.busy:
            own = next(gi for gi in gpus[0]["instances"] if gi["profile"] == self.transition.busy)
            node.hold(0, 512, mig_uuid=own["compute_instances"][0]["uuid"])
        if self.transition.pending:
            self._leave_pending(node, home)
        node.reset_counters()
        self.begin = [_card(gpu) for gpu in node.show()["gpus"]]
        self._learn()

    def _leave_pending(self, node: SimNode, home: Path) -> None:
        """Ask for MIG mode while somebody has the card open, and let go of it then."""
        holder = node.hold(0, 0, kind="monitor")
        request = {"protocol": 1, "task": "mig_mode", "params": {"enabled": True, "gpus": [0]}}
        hidden = {"HOME": str(home), "MIGPROV_SIM_STATE": str(node.directory / "state"), "MIGPROV_DEV": "/nonexistent"}
        ended = self.server.run(request, hidden)
        assert ended.reply is not None
        assert ended.reply["error"]["code"] == "gpu_busy", ended
        node.release(holder)

    def _learn(self) -> None:
        with self.one() as free:
            reply = free.change().reply
            assert reply is not None
            assert reply["error"] is None, reply["error"]
            self.planned = reply["steps"]
            seen: dict[str, int] = {}
            for write in free.sim.writes():
                self.points.append(Point(write["call"], seen.setdefault(write["call"], 0)))
                seen[write["call"]] += 1
            self.writes = free.done()
            self.end = [_contents(card) for card in free.cards()]
            gone = {step["gi_id"] for step in free.done() if _is(step, "destroy_gpu_instance")}
            self.kept = {gi["gi_id"] for gi in self.begin[0]["instances"]} - gone

    # -- what must be true -----------------------------------------------------------------------------------

    def must_be_true(self, ended: Ended, tried: Try, *, unseen: int = 0) -> None:
        """The reply, if any, against the driver. `unseen`: writes that took effect though their call failed."""
        assert tried.lock_is_free()
        self._others_stay(tried)
        if ended.reply is None:
            return
        reply, now, done = ended.reply, tried.cards(), tried.done()
        if reply["before"] is not None:
            assert [_card(gpu) for gpu in reply["before"]["gpus"]] == self.begin
        if reply["after"] is not None:
            assert [_card(gpu) for gpu in reply["after"]["gpus"]] == now
            assert reply["changed"] == (bool(reply["steps"]) or now != self.begin)
        elif reply["steps"]:
            assert reply["changed"]
        told = [_core(step) for step in [*reply["steps"], *((reply["error"] or {}).get("undone") or [])]]
        if unseen:
            assert len(done) == len(told) + unseen
            done = [step for at, step in enumerate(done) if at != len(reply["steps"])]
        assert [_core(step) for step in done] == told

    def must_converge(self, tried: Try) -> Json:
        """A further run reaches the layout, and one more has nothing to do. Returns the first one's reply."""
        reply = tried.change().reply
        assert reply is not None
        assert reply["error"] is None, reply["error"]
        self._others_stay(tried)
        assert tried.lock_is_free()
        assert [_contents(gpu) for gpu in tried.cards()] == self.end
        writes = tried.sim.write_count()
        again = tried.ask("layout", entries=entries(self.transition.end))
        assert not again["changed"]
        assert "interrupted" not in again["data"]
        assert tried.sim.write_count() == writes
        assert [_card(gpu) for gpu in again["after"]["gpus"]] == tried.cards()
        return reply

    def _others_stay(self, tried: Try) -> None:
        """Neither the other card nor an instance that the plan keeps was touched, not even for a moment."""
        now = tried.cards()
        assert now[1] == self.begin[1]
        writes = tried.sim.writes()
        assert {write["gpu"] for write in writes} <= {0}
        kept = [gi for gi in self.begin[0]["instances"] if gi["gi_id"] in self.kept]
        assert {gi["gi_id"] for gi in kept} <= {gi["gi_id"] for gi in now[0]["instances"]}
        destroyed = [w["args"]["gi_id"] for w in writes if w["call"] == "nvmlGpuInstanceDestroy" and w["result"] == 0]
        assert not self.kept & set(destroyed)
        if self.transition.busy:
            assert [gi for gi in now[0]["instances"] if gi["gi_id"] in self.kept] == kept


@contextmanager
def lab(transition: Transition, folder: Path) -> Iterator[Lab]:
    """The node of a transition, in `folder`, ready."""
    node = SimNode.create(folder / "node", f"2x{transition.product}")
    # the library and the stand-in of nvidia-smi are the node's; MIGPROV_SIM_STATE tells which state they serve
    with server(node.env()) as runner:
        made = Lab(transition, folder, runner, node.env())
        try:
            made.prepare(node)
            yield made
        finally:
            for pid in node.holders():
                node.release(pid)


def _card(gpu: Json) -> Json:
    """What both the driver and a reply say of a card's layout."""
    return {
        "uuid": gpu["uuid"],
        "current": gpu["mig_current"],
        "pending": gpu["mig_pending"],
        "instances": sorted((_instance(gi) for gi in gpu["instances"]), key=lambda gi: gi["start"]),
    }


def _instance(gi: Json) -> Json:
    inner = sorted((ci["ci_id"], ci["profile"], ci["start"], ci["size"], ci["uuid"]) for ci in gi["compute_instances"])
    return {**{key: gi[key] for key in ("gi_id", "profile", "start", "size")}, "inner": inner}


def _contents(card: Json) -> Json:
    """The same for a layout wherever its instances stand."""
    inside = sorted((gi["profile"], sorted(size for *_, size, _ in gi["inner"])) for gi in card["instances"])
    return {"current": card["current"], "pending": card["pending"], "instances": inside}


def _as_step(write: Json) -> Json:
    return {"action": ACTIONS[write["call"]], "gpu": write["gpu"], **write["args"]}


def _core(step: Json) -> tuple[Any, ...]:
    """What a step and a write have in common."""
    action = step["action"]
    if action == "set_mig_mode":
        return action, step["gpu"], bool(step.get("enabled", step.get("mode")))
    if action == "create_gpu_instance":
        return action, step["gpu"], step["profile"], step["start"]
    if action == "create_compute_instance":
        return action, step["gpu"], step.get("ci_profile", step["profile"])
    if action == "destroy_gpu_instance":
        return action, step["gpu"], step["gi_id"]
    if action == "destroy_compute_instance":
        return action, step["gpu"], step["gi_id"], step["ci_id"]
    return action, step["gpu"]


def _is(step: Json, action: str) -> bool:
    return bool(step["action"] == action)


def _follows_mode(found: list[Json], at: int) -> bool:
    return at > 0 and _is(found[at - 1], "set_mig_mode")
