"""Real programs that stand beside the nodes of a page. Each gives what the page's text is filled with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest


@contextlib.contextmanager
def slurm(base: Path) -> Iterator[dict[str, str]]:
    """A cluster whose nodes are called gpu1 and gpu2, with a device for whatever an instance may need."""
    from tests.slurm.cluster import Cluster, missing

    if why := missing():
        pytest.skip(why)
    cluster = Cluster(base / "slurm", nodes=["gpu1", "gpu2"], gpus=3, one_line=True)
    for minor in range(1, 3 + 3 * 135):
        cluster.device(f"nvidia-caps/nvidia-cap{minor}", 1000 + minor)
    try:
        cluster.start()
        yield {"slurm": str(cluster.folder), "conf": str(cluster.conf), "dev": str(cluster.dev), "ctl": str(cluster.ctl)}
    finally:
        cluster.end()


SERVICES: dict[str, Callable[[Path], AbstractContextManager[dict[str, str]]]] = {"slurm": slurm}
