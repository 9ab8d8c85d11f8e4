"""Real programs that stand beside the nodes of a page. Each gives what the page's text is filled with."""

from __future__ import annotations

import contextlib
import time
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
        yield {
            "slurm": str(cluster.folder),
            "conf": str(cluster.conf),
            "dev": str(cluster.dev),
            "ctl": str(cluster.ctl),
        }
    finally:
        cluster.end()


@contextlib.contextmanager
def prometheus(base: Path) -> Iterator[dict[str, str]]:
    """A server that has scraped dcgm-exporter for some days: one card that is hollow, one that is full."""
    from tests.capacity import prometheus_server as server

    if not server.PRESENT:
        pytest.skip(server.WHY_NOT)
    folder = base / "prometheus"
    folder.mkdir()
    now = time.time()
    samples: list[server.Sample] = []
    for gpu, used in (("0", 74957), ("1", 9830)):
        labels = {"Hostname": "gpu1", "gpu": gpu, "UUID": f"GPU-{gpu * 8}", "modelName": "NVIDIA A100-SXM4-80GB"}
        for step in range(15 * 24):
            when = now - 3600 * step
            samples.append(("DCGM_FI_DEV_FB_USED", labels, used, when))
            samples.append(("DCGM_FI_DEV_FB_FREE", labels, 81920 - used, when))
    with server.running(folder, data=server.history(folder, samples)) as url:
        yield {"prometheus": url}


SERVICES: dict[str, Callable[[Path], AbstractContextManager[dict[str, str]]]] = {
    "prometheus": prometheus,
    "slurm": slurm,
}
