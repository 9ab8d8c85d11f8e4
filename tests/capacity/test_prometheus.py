"""The audit against a real Prometheus server that has fourteen days of what dcgm-exporter exports."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from migprov.capacity.audit import Audit
from migprov.capacity.audit import audit as judged
from migprov.capacity.sources import prometheus
from migprov.capacity.sources.prometheus_http import Server
from migprov.capacity.sources.promql import Window
from migprov.capacity.usage import Labels, Usage, own_rows, workload_rows
from migprov.errors import SourceError

from .command import audit
from .prometheus_server import DAY_S, PRESENT, WHY_NOT, Sample, answering, history, running

pytestmark = pytest.mark.skipif(not PRESENT, reason=WHY_NOT)
A100, H200, L4 = "NVIDIA A100-SXM4-80GB", "NVIDIA H200", "NVIDIA L4"
STEP_S = 300
DAYS = 14
Curve = Callable[[float], float | None]
"""Value at a number of days before now."""


def flat(value: float) -> Curve:
    return lambda ago: value


def between(first: float, last: float, curve: Curve) -> Curve:
    """The same, but only from so many days ago until so many."""
    return lambda ago: curve(ago) if first > ago >= last else None


def _labels(host: str, gpu: int, model: str, **more: str) -> dict[str, str]:
    """As dcgm-exporter labels its series and Prometheus adds its own."""
    return {
        "Hostname": host,
        "gpu": str(gpu),
        "UUID": f"GPU-{host}-{gpu}",
        "device": f"nvidia{gpu}",
        "modelName": model,
        "DCGM_FI_DRIVER_VERSION": "580.159.04",
        "instance": f"{host}:9400",
        "job": "dcgm",
        **more,
    }


def _card(end: float, labels: Mapping[str, str], total: float, used: Curve, **others: Curve) -> Iterator[Sample]:
    reserved = 512.0
    for number in range(DAYS * DAY_S // STEP_S):
        when = end - number * STEP_S
        ago = (end - when) / DAY_S
        memory = used(ago)
        if memory is None:
            continue
        yield "DCGM_FI_DEV_FB_USED", labels, memory, when
        yield "DCGM_FI_DEV_FB_FREE", labels, total - memory - reserved, when
        yield "DCGM_FI_DEV_FB_RESERVED", labels, reserved, when
        for name, curve in others.items():
            value = curve(ago)
            if value is not None:
                yield f"DCGM_FI_{name}", labels, value, when


def _fleet(end: float) -> Iterator[Sample]:
    def a(gpu: int, **more: str) -> dict[str, str]:
        return _labels("gpu1", gpu, A100, **more)

    busy = {"DEV_GPU_UTIL": flat(80), "PROF_SM_ACTIVE": flat(0.1), "PROF_GR_ENGINE_ACTIVE": flat(0.7)}
    voice = {"namespace": "voice", "container": "server"}
    # 0: hollow, though its pod was another every week; for an hour it used more, which a percentile does not show.
    yield from _card(end, a(0, pod="asr-1", **voice), 81920, between(14, 6, _with_peak(9000, 9.0, 11000)), **busy)
    yield from _card(end, a(0, pod="asr-2", **voice), 81920, between(6, 0, flat(9600)), **busy)
    # 1: full. 2: idle. 3: measured for a day only, hollow by what was seen.
    yield from _card(end, a(1, pod="llm-0", **voice), 81920, flat(73200), **busy)
    yield from _card(end, a(2), 81920, flat(4), DEV_GPU_UTIL=flat(0), PROF_SM_ACTIVE=flat(0))
    yield from _card(end, a(3), 81920, between(1, 0, flat(5000)))
    # gpu2/0: cut five days ago; before that it was whole. Its two instances, and the parent's own row beside them.
    b = _labels("gpu2", 0, A100)
    yield from _card(end, b, 81920, flat(20000))
    for gi, used in ((1, 30000.0), (2, 5000.0)):
        mig = {**b, "GPU_I_ID": str(gi), "GPU_I_PROFILE": "3g.40gb", "pod": f"cut-{gi}", **voice}
        yield from _card(
            end, mig, 40192 + 0, between(5 if gi == 2 else 14, 0, flat(used)), PROF_GR_ENGINE_ACTIVE=flat(0.25)
        )
    # gpu3: another exporter's label for the host, a product without MIG, a card that is gone since a week.
    c = {k: v for k, v in _labels("gpu3", 0, L4).items() if k != "Hostname"} | {"hostname": "gpu3"}
    yield from _card(end, c, 23034, flat(2000))
    yield from _card(end, _labels("gpu3", 1, H200), 143771, between(14, 6, flat(5000)))


def _with_peak(value: float, days_ago: float, peak: float) -> Curve:
    return lambda ago: peak if days_ago > ago >= days_ago - 1 / 24 else value


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    data = history(folder, _fleet(math.floor(time.time()) - 30))
    with running(folder, data=data) as found:
        yield found


@pytest.fixture(scope="module")
def found(url: str) -> prometheus.Found:
    return prometheus.read(Server(url), DAYS * DAY_S)


@pytest.fixture(scope="module")
def verdicts(found: prometheus.Found) -> Audit:
    return judged(found.usages)


def _own(found: prometheus.Found) -> dict[str, Usage]:
    return {row.name: row for row in own_rows(found.usages)}


def test_the_verdicts(verdicts: Audit) -> None:
    kinds = {f.usage.name: (f.verdict.kind, f.verdict.fits) for f in verdicts.findings}
    assert kinds == {
        "gpu1/0": ("hollow", "1g.20gb"),
        "gpu1/1": ("full", None),
        "gpu1/2": ("idle", None),
        "gpu1/3": ("unknown", None),
        "gpu2/0 3g.40gb instance 1": ("full", None),
        "gpu2/0 3g.40gb instance 2": ("unknown", None),  # five of fourteen days
        "gpu3/0": ("hollow", None),
        "gpu3/1": ("unknown", None),
    }
    reasons = {f.usage.name: " ".join(f.verdict.reasons) for f in verdicts.findings}
    assert re.search(r"samples for 7(\.\d)? % of 14 d, 50 % are needed", reasons["gpu1/3"])
    assert "not seen any more at the end of the window" in reasons["gpu3/1"]


def test_peaks_and_percentiles_of_a_card_whose_pods_changed(found: prometheus.Found) -> None:
    row = _own(found)["gpu1/0"]
    assert (row.memory_peak_mib, row.memory_p95_mib, row.memory_total_mib) == (11000, 9600, 81920)
    assert (row.sm_peak, row.sm_p95, row.util_peak, row.util_p95) == (0.1, 0.1, 0.8, 0.8)
    assert row.samples == pytest.approx(DAYS * DAY_S / STEP_S, abs=2)
    assert row.covered > 0.98
    assert row.first_seen is not None and row.last_seen is not None
    assert row.last_seen - row.first_seen == pytest.approx(DAYS * DAY_S, abs=3 * STEP_S)
    pods = {str(each.workload): each for each in workload_rows(found.usages) if each.name == "gpu1/0"}
    assert {name: (each.memory_peak_mib, each.current) for name, each in pods.items()} == {
        "voice/asr-1/server": (11000, False),
        "voice/asr-2/server": (9600, True),
    }
    assert pods["voice/asr-1/server"].covered == pytest.approx(8 / 14, abs=0.02)


def test_instances_have_their_own_rows_and_their_card_counts_once(found: prometheus.Found, verdicts: Audit) -> None:
    row = _own(found)["gpu2/0 3g.40gb instance 1"]
    assert (row.gi_id, row.profile, row.uuid) == (1, "3g.40gb", "GPU-gpu2-0")
    assert (row.memory_peak_mib, row.memory_total_mib, row.card_memory_mib) == (30000, 40192, 81920)
    # With MIG there is no utilisation: the graphics engine's serves.
    assert (row.util_p95, row.sm_p95) == (0.25, None)
    # 4 x 80 of gpu1, 80 of gpu2, the L4 and the H200.
    assert verdicts.totals.memory_mib == 5 * 81920 + 23034 + 143771
    assert verdicts.totals.peak_mib == 11000 + 73200 + 4 + 5000 + 35000 + 2000 + 5000


def test_the_other_label_of_the_host(found: prometheus.Found) -> None:
    assert _own(found)["gpu3/0"].model == L4


def test_hosts_and_matchers_choose(url: str) -> None:
    of_two = prometheus.read(Server(url), DAY_S, hosts="gpu2, gpu3")
    assert {row.host for row in of_two.usages} == {"gpu2", "gpu3"}
    matched = prometheus.read(Server(url), DAY_S, match='modelName=~".*L4"')
    assert {row.name for row in matched.usages} == {"gpu3/0"}
    with pytest.raises(SourceError, match=r"no host matches 'gpu9'; there are gpu1, gpu2, gpu3"):
        prometheus.read(Server(url), DAY_S, hosts="gpu9")
    with pytest.raises(SourceError, match=r"the query failed: .*parse error"):
        prometheus.read(Server(url), DAY_S, match="modelName=")
    with pytest.raises(SourceError, match=r"no series DCGM_FI_DEV_FB_USED with rack=\"9\" in the last 1 d.*--match"):
        prometheus.read(Server(url), DAY_S, match='rack="9"')


def test_a_shorter_window_is_not_of_the_days_before(url: str) -> None:
    rows = _own(prometheus.read(Server(url), 2 * DAY_S))
    assert (rows["gpu1/0"].memory_peak_mib, rows["gpu1/0"].covered > 0.97) == (9600, True)
    assert "gpu3/1" not in rows


def test_chunks_give_the_same(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of any size is asked for in chunks; here of three cards."""
    at_once = prometheus.read(Server(url), DAY_S)
    monkeypatch.setattr(Window, "devices_at_once", property(lambda window: 3))
    again = prometheus.read(Server(url), DAY_S)
    keep = lambda rows: sorted((r.name, str(r.workload), r.memory_peak_mib, r.current) for r in rows)  # noqa: E731
    assert keep(again.usages) == keep(at_once.usages)


def test_a_server_that_takes_few_samples_at_a_time(tmp_path: Path) -> None:
    samples = (s for gpu in range(4) for s in _card(time.time() - 30, _labels("n", gpu, A100), 81920, flat(1e4)))
    data = history(tmp_path, samples)
    with running(tmp_path, data=data, extra=("--query.max-samples=9000",)) as small:
        rows = _own(prometheus.read(Server(small), DAY_S))
        assert {name: row.memory_peak_mib for name, row in rows.items()} == {f"n/{gpu}": 10000 for gpu in range(4)}
    with (
        running(tmp_path, data=data, extra=("--query.max-samples=100",)) as tiny,
        pytest.raises(SourceError, match=r"too many samples.*shorter --window"),
    ):
        prometheus.read(Server(tiny), DAY_S)


def test_the_command(url: str) -> None:
    answer = audit("--prometheus", url, "--json", "--limit", "gpu1")
    assert answer.code == 0, answer.err
    assert answer.verdicts == {"gpu1/2": "idle", "gpu1/0": "hollow", "gpu1/3": "unknown", "gpu1/1": "full"}
    table = audit("--prometheus", url, "--window", "2d")
    assert "6 cards: " in table.out
    assert re.search(r"gpu1/0 +A100-80GB +9\.4 GiB of 80\.0 GiB +hollow +peak 9\.4 GiB", table.out)


SCRAPED = """\
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",%s,namespace="ml",pod="train-0",container="main"} 90000
DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-b",%s,hpc_job="4711"} 20000
""".replace("%s", 'modelName="NVIDIA H200",Hostname="dcgm-exporter-x2x"')


def test_a_text_endpoint_that_is_scraped(tmp_path: Path) -> None:
    """Scraped without honor_labels: the workload's labels become exported ones beside the exporter's own."""
    own = {"namespace": "gpu-operator", "pod": "nvidia-dcgm-exporter-x2x", "container": "nvidia-dcgm-exporter"}
    with answering(SCRAPED) as target, running(tmp_path, targets=[target], labels={**own, "node": "gpu7"}) as url:
        limit = time.monotonic() + 90
        while True:
            try:
                found = prometheus.read(Server(url), 60, host_label="node")
            except SourceError as error:
                assert "no series" in str(error) or "no sample" in str(error)
                found = prometheus.Found([], [])
            if found.usages and min(row.samples for row in found.usages) >= 3:
                break
            assert time.monotonic() < limit
            time.sleep(0.5)
    rows = own_rows(found.usages)
    assert [(row.name, row.memory_peak_mib) for row in rows] == [("gpu7/0", 90000), ("gpu7/1", 20000)]
    # Neither free nor reserved memory is exported: the size is the product's.
    assert {row.memory_total_mib for row in rows} == {143771}
    assert {row.name: row.workload for row in workload_rows(found.usages)} == {
        "gpu7/0": Labels(namespace="ml", pod="train-0", container="main"),
        "gpu7/1": Labels(job="4711"),
    }
    assert [f.verdict.kind for f in judged(found.usages).findings] == ["unknown", "unknown"]
    assert any("DCGM_FI_PROF_SM_ACTIVE" in note for note in found.notes)
