"""What all tests share: a home of their own, and simulated nodes that always go down again."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet

ROOT = Path(__file__).resolve().parents[1]
# What takes longest is begun first, so that the workers end together (pytest --no-loadscope-reorder keeps this order).
# Areas that are long as a whole; make boot and make kubernetes run them, too.
LONG_AREAS = ("boot", "kubernetes")
LONGEST = ("kubernetes", "boot", "slurm", "roll", "ansible", "e2e", "docs", "faults", "repo", "capacity", "connect")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the tests marked long, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long tests unless --all asks for them; begin with the areas that take longest."""
    if not config.getoption("--all"):
        config.hook.pytest_deselected(items=[item for item in items if is_long(item)])
        items[:] = [item for item in items if not is_long(item)]
    rank = {area: number for number, area in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(area_of(item), len(rank)))


def is_long(item: pytest.Item) -> bool:
    """Whether the test runs only when all are asked for."""
    return item.get_closest_marker("long") is not None or area_of(item) in LONG_AREAS


def area_of(item: pytest.Item) -> str:
    """The folder of tests/ that a test lies in."""
    path = item.path.relative_to(ROOT / "tests")
    return path.parts[0] if len(path.parts) > 1 else ""


class FleetFactory(Protocol):
    """`migprov.sim.nodes.up` without the folder; the fleet ends with the test."""

    def __call__(self, nodes: int = 1, gpus: str | list[str] = "3xA100-80GB", **options: object) -> Fleet: ...


def _own_environment(home: Path, cache: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(cache),
        # pyenv's shims look below HOME otherwise.
        "PYENV_ROOT": os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # The checkout's collection; nobody's settings, neither Ansible's nor OpenSSH's.
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".dev"),
        "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_SSH_ARGS": "-F /dev/null -C -o ControlMaster=auto -o ControlPersist=20s",
    }


@pytest.fixture(scope="session", autouse=True)
def own_interrupt() -> None:
    """Ctrl-C as a terminal delivers it: shells start what runs in the background with SIGINT ignored, and that
    is inherited by all that the tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_environment() -> Iterator[None]:
    """Neither read nor write the developer's files, but for the compiled simulated driver in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    saved = dict(os.environ)
    # A short path: OpenSSH's control sockets lie below it. Every folder lets other users pass, for nodes of theirs.
    with tempfile.TemporaryDirectory(prefix="migprov-test-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "ansible.cfg").touch()
        for name in ("ANSIBLE_INVENTORY", "ANSIBLE_ROLES_PATH", "SSH_AUTH_SOCK", "PYTHONPATH", "FORCE_COLOR"):
            os.environ.pop(name, None)
        os.environ.update(_own_environment(home, cache))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(saved)


@pytest.fixture
def make_fleet() -> Iterator[FleetFactory]:
    """Starts simulated nodes; all of them are ended when the test is over, however it went."""
    from migprov.sim.nodes import up

    with contextlib.ExitStack() as stack:

        def make(nodes: int = 1, gpus: str | list[str] = "3xA100-80GB", **options: object) -> Fleet:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="migprov-fleet-"))
            Path(folder).chmod(0o755)
            return stack.enter_context(up(Path(folder) / "fleet", nodes=nodes, gpus=gpus, **options))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def fleet(make_fleet: FleetFactory) -> Fleet:
    """One node with three A100-80GB."""
    return make_fleet()
