"""`make demo`: three cards, two of them hollow; after the roll two cards do the same work and one is free.

The nodes are simulated, everything else is real: the processes, OpenSSH, Ansible, nvidia-ml-py.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from rich.console import Console

from demo import cards, show
from demo.pipeline import LANGUAGE_MODEL, SPEECH, Pipeline
from migprov.errors import MigprovError
from migprov.sim.nodes import Fleet, up

HERE = Path(__file__).resolve().parent
LAYOUTS = HERE / "layouts.yml"
LAYOUT = "voice-pipeline"
GPUS = "3xA100-80GB"


class DemoError(Exception):
    """The demonstration did not go as it must; the message is for people."""


def main() -> int:
    """Run the demonstration; whatever was started is ended, however it goes."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(highlight=False)
    # Short, because the path of a socket that Ansible makes below it may not be long.
    with tempfile.TemporaryDirectory(prefix="migprov-demo-") as folder:
        try:
            with up(Path(folder) / "fleet", nodes=arguments.nodes, gpus=GPUS) as fleet, Pipeline(fleet) as pipeline:
                Story(console, fleet, pipeline).tell()
        except KeyboardInterrupt:
            console.print("\nStopped; the simulated nodes and their processes are ended.")
            return 130
        except subprocess.CalledProcessError as failed:
            console.print(f"[red]{' '.join(map(str, failed.cmd))} ended with status {failed.returncode}.")
            return 1
        except (DemoError, MigprovError) as failed:
            console.print(f"[red]{failed}")
            return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes of three cards (default 1)")
    return parser.parse_args()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _empty_file(path: Path) -> Path:
    path.touch()
    return path


class Story:
    """The demonstration, step by step; each method is one chapter."""

    def __init__(self, console: Console, fleet: Fleet, pipeline: Pipeline) -> None:
        self.console = console
        self.fleet = fleet
        self.pipeline = pipeline
        self.environment = {
            **os.environ,
            # The checkout's collection and nobody's own settings; short-lived files where the nodes are.
            "ANSIBLE_COLLECTIONS_PATH": str(HERE.parent / ".dev"),
            "ANSIBLE_CONFIG": str(_empty_file(fleet.directory.parent / "ansible.cfg")),
            "ANSIBLE_HOME": str(fleet.directory.parent / "a"),
            "ANSIBLE_FORCE_COLOR": str(console.is_terminal and not console.no_color),
        }

    def tell(self) -> None:
        """The whole story. Raises DemoError when anything is not as it must be."""
        before = self.hollow_cards()
        self.speech_leaves()
        self.plan()
        self.roll()
        self.verify()
        after = self.speech_on_instances()
        self.roll_again()
        self.sum_up(before, after)

    def hollow_cards(self) -> cards.Use:
        self.chapter(
            "Whole cards for everyone",
            "The NVIDIA driver of each node is simulated; its OpenSSH server and the processes on the GPUs are real. "
            "GB means 1024 MiB: a card that is sold as 80 GB reports 81,920 MiB.",
        )
        self.pipeline.start(LANGUAGE_MODEL)
        for workload in SPEECH:
            self.pipeline.start(workload)
        return self.look()

    def speech_leaves(self) -> None:
        self.chapter(
            "The speech workloads move away for a moment",
            "A GPU in use is never taken from anybody, so this is the demo's own doing. The language model runs on.",
        )
        for workload in SPEECH:
            self.pipeline.stop(workload)
        self.look()

    def plan(self) -> None:
        self.chapter("What would be done", "Check mode: the steps, and not one write.")
        writes = self.writes()
        self.run("migprov", "apply", LAYOUTS, LAYOUT, "-i", self.fleet.inventory, "--check")
        self.expect(self.writes() == writes, "check mode wrote to a GPU")

    def roll(self) -> None:
        self.chapter("The roll", "Ansible brings one node after another to the layout, over SSH.")
        writes = self.writes()
        self.run(*self.rollout())
        self.console.print(f"{self.writes() - writes} writes to the GPUs.", style="bold")

    def verify(self) -> None:
        self.chapter("Is it so?", "The cards are read again and compared with the layout.")
        self.run("migprov", "verify", LAYOUTS, LAYOUT, "-i", self.fleet.inventory)

    def speech_on_instances(self) -> cards.Use:
        self.chapter("The speech workloads come back", "Each starts on an instance of its own, by its MIG UUID.")
        found = self.read()
        for node in self.fleet:
            instances = [each for card in found if card.host == node.name for each in card.instances]
            self.expect(len(instances) == len(SPEECH), f"{node.name} has {len(instances)} instances")
            for workload, instance in zip(SPEECH, instances, strict=True):
                self.console.print(f"{node.name}: {workload.name} on {instance.uuid} ({instance.profile})")
                self.pipeline.start_on_instance(node, workload, instance.uuid)
        return self.look()

    def roll_again(self) -> None:
        self.chapter("The same roll once more", "Everything is so already, and everything is in use.")
        writes = self.writes()
        self.run(*self.rollout())
        more = self.writes() - writes
        self.expect(more == 0, f"the second roll wrote {more} times to a GPU")
        self.console.print("Nothing changed: the simulated drivers counted 0 writes.", style="bold")

    def sum_up(self, before: cards.Use, after: cards.Use) -> None:
        self.expect(self.pipeline.alive(), "a process of the pipeline has ended")
        self.expect(before.used_mib == after.used_mib, "the workloads hold other amounts than before")
        self.expect(after.free_cards == before.free_cards + len(self.fleet.nodes), "no card was freed")
        self.console.print()
        self.console.print(show.summary(before, after))

    # --- how it is told ---

    def chapter(self, title: str, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")
        self.console.print(text)

    def look(self) -> cards.Use:
        """Show the cards as they report themselves."""
        found = self.read()
        self.console.print(show.table(found))
        return cards.use(found)

    def read(self) -> list[cards.Card]:
        return cards.read(self.fleet.inventory)

    def rollout(self) -> list[str]:
        layout = ["-e", f"mig_layout_file={LAYOUTS}", "-e", f"mig_layout_name={LAYOUT}"]
        return ["ansible-playbook", "migprov.gpu.rollout", "-i", str(self.fleet.inventory), *layout]

    def writes(self) -> int:
        """How many calls that change a GPU the simulated drivers have counted."""
        return sum(node.sim.write_count() for node in self.fleet)

    def run(self, program: str, *arguments: str | Path) -> None:
        """Show and run one of the environment's programs. Raises subprocess.CalledProcessError."""
        self.console.print(f"[dim]$ {program} {' '.join(map(str, arguments))}", soft_wrap=True)
        sys.stdout.flush()
        command = [Path(sys.executable).with_name(program), *arguments]
        subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, check=True)

    @staticmethod
    def expect(truth: bool, otherwise: str) -> None:
        if not truth:
            raise DemoError(f"The demonstration failed: {otherwise}.")


if __name__ == "__main__":
    sys.exit(main())
