"""NVIDIA's own nvidia-smi, unmodified, on the simulated driver. `scripts/nvidia-smi.sh` fetches it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from migprov.sim.driver import SimNode

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"


@dataclass(frozen=True)
class Answer:
    code: int
    text: str

    @property
    def rows(self) -> list[list[str]]:
        """The words of each row of a table that begins with a GPU's index, and of the line below that belongs to it."""
        found: list[list[str]] = []
        for line in self.text.splitlines():
            words = [word for word in line.split() if word != "|"]
            if re.match(r"\| {1,3}\d", line):
                found.append(words)
            elif found and re.match(r"\| {12,}[\d|]", line):
                found[-1] += words
        return found


@dataclass(frozen=True)
class Machine:
    """A simulated node, and NVIDIA's program."""

    node: SimNode
    program: Path

    def smi(self, *arguments: str, user: int | None = None, program: Path | None = None) -> Answer:
        environment = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(self.node.directory / "lib")}
        done = subprocess.run(
            [str(program or self.program), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=user,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def did(self, *arguments: str) -> str:
        """What it says, once it has said that all is well."""
        answer = self.smi(*arguments)
        assert answer.code == 0, answer.text
        return answer.text

    def rows(self, *arguments: str) -> list[list[str]]:
        return Answer(0, self.did(*arguments)).rows

    def placements(self, gpu: int = 0) -> list[tuple[str, int]]:
        """The instances of a GPU, profile and first memory slice, as the simulated machine itself knows them."""
        shown = self.node.show()["gpus"][gpu]["instances"]
        return sorted((each["profile"], each["start"]) for each in shown)


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """Where any user can run it."""
    script = ROOT / "scripts" / "nvidia-smi.sh"
    where = Path(subprocess.run([script, "--path"], check=True, capture_output=True, text=True).stdout.strip())
    if not (where / "nvidia-smi").exists():
        pytest.skip("the real nvidia-smi is not here: scripts/nvidia-smi.sh fetches it where there is Debian's apt")
    with tempfile.TemporaryDirectory(prefix="migprov-nvidia-smi-") as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copy(where / "nvidia-smi", folder))


@pytest.fixture
def machine(program: Path) -> Iterator[Callable[..., Machine]]:
    """Makes machines: ``machine("2xA100-80GB")``; their processes end with the test."""
    with contextlib.ExitStack() as stack:

        def make(gpus: str = "1xA100-80GB", **options: object) -> Machine:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migprov-sim-")))
            folder.chmod(0o755)
            node = SimNode.create(folder / "node", gpus, **options)  # type: ignore[arg-type]
            stack.callback(node.power_off)
            return Machine(node, program)

        yield make


@pytest.fixture
def other_user() -> int:
    if os.geteuid() != 0:
        pytest.skip("becoming another user takes root")
    return 65534
