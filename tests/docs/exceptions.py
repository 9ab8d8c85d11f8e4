"""What in the docs the tests do not run, each with the reason. `understood.py` parses it all the same.

`page` and `what` are patterns as of the shell; `what` is for a command on one line without its comment, or a block of
Python. A row that matches nothing is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from . import pages


@dataclass(frozen=True)
class NotRun:
    page: str
    what: str
    why: str

    def matches(self, page: str, text: str) -> bool:
        return fnmatchcase(page, self.page) and fnmatchcase(text, self.what)


EXCEPTIONS: tuple[NotRun, ...] = (
    NotRun("*", "make *", "minutes to hours each; continuous integration runs them, and that they exist is checked"),
    NotRun("*", "pip install *", "the index is not asked by tests; tests/repo/test_wheel.py installs the wheel"),
    NotRun("*", "pip wheel *", "tests/repo/test_wheel.py builds it so"),
    NotRun("README.md", "migprov rollout *", "docs/quickstart.md rolls a plan"),
    NotRun("*", "ansible-galaxy collection *", "tests/repo/test_collection_tarball.py builds and installs it so"),
    NotRun(
        "docs/awx.md",
        "ansible-builder *",
        "takes a container engine; tests/repo/test_execution_environment.py",
    ),
    NotRun("docs/awx.md", "ansible-navigator *", "takes that image"),
    NotRun("docs/kubernetes.md", "ansible-playbook *", "takes a cluster: tests/kubernetes, molecule/kubernetes"),
    NotRun("docs/slurm.md", "ansible-playbook *", "tests/slurm/test_roll.py runs it with a real Slurm"),
    NotRun("docs/operations.md", "dmesg *", "the machine's own"),
    NotRun("docs/operations.md", "nvidia-smi *", "a real card's own"),
    NotRun("docs/operations.md", "systemctl *", "of a real host; tests/boot starts this service under systemd"),
    NotRun("docs/operations.md", "journalctl *", "as above"),
    NotRun("docs/boot.md", "systemctl *", "as above"),
    NotRun("docs/simulator.md", "smi=*", "fetches a package; make tools does so for the tests"),
    NotRun("docs/simulator.md", "$smi *", "takes that package: tests/nvidia_smi/test_instances.py"),
    NotRun("*", "apt-get *", "installs programs of the machine; scripts/setup.sh does the same for the tests"),
    NotRun("*", "source .venv/bin/activate", "the tests run in that environment"),
    NotRun("docs/how-to-plain.md", "ansible-playbook persist.yml *", "writes units of this machine; molecule/persist"),
    NotRun("docs/how-to-*.md", "migprov rollback *", "docs/quickstart.md rolls back"),
    NotRun("docs/quickstart.md", "migprov rollback -i inventory *", "ten nodes are rolled back above"),
    NotRun("docs/how-to-kubernetes.md", "migprov rollout *", "takes a cluster: molecule/kubernetes rolls through one"),
    NotRun("docs/how-to-kubernetes.md", "migprov verify *", "as above"),
    NotRun("docs/how-to-kubernetes.md", "kubectl *", "takes a cluster; what is applied is tried in tests/kubernetes"),
    NotRun("docs/how-to-kubernetes.md", "helm *", "takes a cluster with NVIDIA's operator"),
    NotRun("docs/ci.md", "molecule *", "tests/repo/infra_repo.py runs it on a copy of the template"),
    NotRun("docs/infra-repo/README.md", "molecule *", "the same"),
    NotRun("*", "python3 -m venv .venv*", "the tests run in an environment"),
)


def of_command(command: pages.Command) -> NotRun | None:
    return _first(command.block.page, command.plain)


def of_python(block: pages.Block) -> NotRun | None:
    return _first(block.page, block.text)


def _first(page: str, text: str) -> NotRun | None:
    return next((each for each in EXCEPTIONS if each.matches(page, text)), None)
