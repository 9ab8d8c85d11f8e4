"""A Slurm cluster for the tests that need one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from migprov.fleet import slurm
from migprov.fleet.commands import Commands, Local

from .cluster import Cluster, missing


@pytest.fixture(scope="module")
def make_cluster() -> Iterator[Callable[..., Cluster]]:
    """Starts clusters; every process of theirs is ended when the module is over, however it went."""
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:

        def make(**options: object) -> Cluster:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migprov-slurm-")))
            folder.chmod(0o755)
            cluster = Cluster(folder, **options)  # type: ignore[arg-type]
            stack.callback(cluster.end)
            cluster.start()
            return cluster

        yield make


@pytest.fixture(scope="module")
def running(make_cluster: Callable[..., Cluster]) -> Cluster:
    """One cluster for the module."""
    return make_cluster()


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    """Two idle nodes without jobs."""
    running.clean()
    return running


@pytest.fixture
def here(cluster: Cluster) -> Commands:
    """Slurm's commands on this machine, asking that cluster."""
    return slurm.with_conf(Local(), str(cluster.conf))
