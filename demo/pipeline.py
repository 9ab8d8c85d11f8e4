"""The voice pipeline: real processes that hold memory of simulated GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from demo.cards import mib
from migprov.sim.driver import Holder
from migprov.sim.nodes import Fleet, FleetNode


@dataclass(frozen=True)
class Workload:
    """What runs on which whole card before the move, and the GB that it holds.

    The name is that of the process, of which the kernel keeps 15 characters.
    """

    name: str
    gpu: int
    memory_gb: float


LANGUAGE_MODEL = Workload("language-model", 0, 73.2)
SPEECH = (Workload("speech-to-text", 1, 9.6), Workload("text-to-speech", 2, 13.4))


class Pipeline:
    """The processes of every node; leaving it ends those that still run."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._running: list[tuple[Workload, Holder]] = []

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, holder in self._running:
            holder.release()

    def start(self, workload: Workload) -> None:
        """On each node, on its whole card."""
        for node in self.fleet:
            self._start(node, workload, workload.gpu)

    def start_on_instance(self, node: FleetNode, workload: Workload, uuid: str) -> None:
        """On one node, on the MIG device of this UUID."""
        self._start(node, workload, uuid)

    def _start(self, node: FleetNode, workload: Workload, device: int | str) -> None:
        holder = node.sim.hold(device, mib(workload.memory_gb), command=workload.name)
        self._running.append((workload, holder))

    def stop(self, workload: Workload) -> None:
        """On each node."""
        for known, holder in self._running:
            if known is workload:
                holder.release()
        self._running = [each for each in self._running if each[0] is not workload]

    def alive(self) -> bool:
        """Whether all that was started and not stopped still runs."""
        return all(holder.alive for _, holder in self._running)
