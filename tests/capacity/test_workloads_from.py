"""What an audit saw -> workloads: names, replicas, peaks, places, and what cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from migprov.capacity import workloads_file, workloads_from
from migprov.capacity.model import Place, Workload
from migprov.capacity.usage import Labels, Usage

DAY = 86400.0


def usage(host: str, gpu: int, workload: Labels | None, peak: int | None = 1000, **fields: Any) -> Usage:
    given = {
        "uuid": f"GPU-{host}-{gpu}",
        "model": "NVIDIA A100-SXM4-80GB",
        "product": "A100-80GB",
        "gi_id": None,
        "profile": None,
        "start": None,
        "memory_total_mib": 81920,
        "card_memory_mib": 81920,
        "samples": 100,
        "window_s": DAY,
        "covered": 1.0,
        "memory_peak_mib": peak,
        "memory_p95_mib": peak,
        "first_seen": 0.0,
        "last_seen": DAY,
        "memory_of": "workload",
        **fields,
    }
    return Usage(host=host, gpu=gpu, workload=workload, **given)


def pod(name: str) -> Labels:
    return Labels(namespace="voice", pod=name, container="server")


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (pod("asr-7d9f8b6c5d-x2x9z"), "voice/asr/server"),
        (pod("asr-0"), "voice/asr/server"),
        (pod("asr-x2x9z"), "voice/asr/server"),
        (pod("text-to-sound"), "voice/text-to-sound/server"),
        (Labels(job="4711", user="ann"), "job 4711"),
        (Labels(unit="asr@2.service", command="python3"), "asr"),
        (Labels(command="python3", user="asr"), "python3"),
        (Labels(container="0123456789abcdef"), "container 0123456789ab"),
    ],
)
def test_replicas_have_one_name(labels: Labels, name: str) -> None:
    assert workloads_from.name_of(labels) == name


def test_replicas_the_largest_peak_and_where_they_run() -> None:
    rows = [
        usage("a", 0, pod("asr-0"), 9000),
        usage("b", 1, pod("asr-1"), 9830, gi_id=3, profile="3g.40gb", start=4),
        usage("b", 0, None, 12000),
    ]
    found = workloads_from.drawn(rows)
    assert found.workloads == [Workload("voice/asr/server", 9830, 2, runs_on=(Place("a", 0), Place("b", 1, 4)))]
    assert found.workloads[0].latency is None
    assert found.notes == [
        "b/0: used 12000 MiB at its peak, and whose that was is not known; no workload stands for it"
    ]
    assert list(workloads_file.loads(workloads_from.file_text(rows)).workloads) == found.workloads


def test_one_after_the_other_is_one_replica() -> None:
    rows = [
        usage("a", 0, pod("asr-7d9f8b6c5d-aaaa1"), 500, last_seen=DAY / 2),
        usage("a", 1, pod("asr-7d9f8b6c5d-aaaa2"), 700, first_seen=DAY / 2),
    ]
    assert workloads_from.workloads(rows) == [Workload("voice/asr/server", 700, 1, runs_on=(Place("a", 1),))]


@pytest.mark.parametrize(
    "gone",
    [
        {"current": False},  # as Prometheus and the nodes say it
        {"samples": 288},  # a table, with a sample every five minutes
    ],
)
def test_what_a_rollout_replaced_an_hour_ago_does_not_run_any_more(gone: dict[str, Any]) -> None:
    window = {"window_s": 14 * DAY, "samples": 288}
    rows = [
        usage("a", 0, pod("asr-7d9f8b6c5d-aaaa1"), 500, last_seen=DAY - 3600, **{**window, **gone}),
        usage("a", 1, pod("asr-6c9f8b6c5e-bbbb2"), 700, first_seen=DAY - 3600, **{**window, "samples": 12}),
    ]
    assert workloads_from.workloads(rows) == [Workload("voice/asr/server", 700, 1, runs_on=(Place("a", 1),))]


@pytest.mark.parametrize("command", ["x" * 300, " python3 ", "\u2003", "asr: worker #1", "-", "no", "a" * 252 + " b"])
def test_any_name_can_be_read_back(command: str) -> None:
    rows = [usage("a", 0, Labels(command=command))]
    assert list(workloads_file.loads(workloads_from.file_text(rows)).workloads) == workloads_from.workloads(rows)


def test_two_in_one_place_have_one_place() -> None:
    rows = [usage("a", 0, Labels(unit="asr.service"), 500), usage("a", 0, Labels(unit="tts.service"), 700)]
    found = workloads_from.drawn(rows)
    assert [(each.name, each.runs_on) for each in found.workloads] == [("asr", (Place("a", 0),)), ("tts", ())]
    assert found.notes == ["tts: a/0 has more than one; only the first that is named is said to run there"]


def test_memory_that_cannot_be_told_apart_is_said() -> None:
    rows = [
        usage("a", 0, pod("asr-0"), 900, memory_of="device"),
        usage("a", 0, pod("tts-0"), 900, memory_of="device"),
    ]
    assert any("cannot be told apart" in note for note in workloads_from.drawn(rows).notes)


def test_memory_that_is_not_known_makes_no_workload() -> None:
    found = workloads_from.drawn([usage("a", 0, pod("asr-0"), None)])
    assert found.workloads == []
    assert found.notes == ["voice/asr/server is left out: its memory is not known"]


def test_one_pod_on_two_cards_is_told() -> None:
    rows = [usage("a", 0, pod("llm-0")), usage("a", 1, pod("llm-0"))]
    found = workloads_from.drawn(rows)
    assert found.workloads[0].replicas == 2
    assert "used 2 GPUs or instances" in found.notes[0]
