"""Verdicts: what a card or instance is used for, and what would do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migprov.capacity.audit import audit
from migprov.capacity.usage import Labels, Usage
from migprov.capacity.verdict import Thresholds, judge

A100 = Usage(
    host="gpu1",
    gpu=0,
    uuid="GPU-0",
    model="NVIDIA A100-SXM4-80GB",
    product="A100-80GB",
    gi_id=None,
    profile=None,
    start=None,
    memory_total_mib=81920,
    card_memory_mib=81920,
    workload=None,
    samples=1000,
    window_s=14 * 86400,
    covered=1.0,
    memory_peak_mib=9830,
    memory_p95_mib=8000,
)
HALF = replace(A100, gi_id=1, profile="3g.40gb", start=4, memory_total_mib=40192)


def _verdict(usage: Usage, **by: object) -> tuple[str, str | None]:
    found = judge(usage, Thresholds(**by))  # type: ignore[arg-type]
    assert found.reasons
    return found.kind, found.fits


@pytest.mark.parametrize(
    ("peak", "expected"),
    [
        (8106, ("hollow", "1g.10gb")),  # 9728 MiB with 20 %: exactly what a 1g.10gb has
        (8107, ("hollow", "1g.20gb")),  # one MiB more
        (16640, ("hollow", "1g.20gb")),
        (16641, ("hollow", "3g.40gb")),
        (33493, ("hollow", "3g.40gb")),
        (33494, ("full", None)),
        (75000, ("full", None)),
    ],
)
def test_the_smallest_profile_that_would_do(peak: int, expected: tuple[str, str | None]) -> None:
    assert _verdict(replace(A100, memory_peak_mib=peak)) == expected


def test_an_instance_is_hollow_only_if_something_smaller_than_it_would_do() -> None:
    assert _verdict(HALF) == ("hollow", "1g.20gb")
    assert _verdict(replace(HALF, memory_peak_mib=20000)) == ("full", None)
    tenth = replace(HALF, profile="1g.10gb", memory_total_mib=9728)
    assert _verdict(replace(tenth, memory_peak_mib=1000)) == ("full", None)
    assert _verdict(replace(tenth, memory_peak_mib=10)) == ("idle", None)


@pytest.mark.parametrize(
    ("profile", "total", "peak", "expected"),
    [
        ("1g.24gb", 22528, 9000, ("full", None)),  # GB200's 1g.23gb, as some drivers call it
        ("3g.95gb", 92160, 9000, ("hollow", "1g.23gb")),
        ("1g.99gb", 22528, 9000, ("full", None)),  # no profile of the table: by its memory
        ("1g.99gb", 92160, 9000, ("hollow", "1g.23gb")),
    ],
)
def test_an_instance_by_another_name(profile: str, total: int, peak: int, expected: tuple[str, str | None]) -> None:
    row = replace(
        HALF, model="NVIDIA GB200", product="GB200-186GB", profile=profile, memory_total_mib=total, memory_peak_mib=peak
    )
    assert _verdict(row) == expected


def test_sms_at_work_are_kept() -> None:
    """20 % of 108 SMs are 22: 1g.20gb has 14, 2g.20gb 28. At 60 % only 7g.80gb has enough, which is the whole card."""
    assert _verdict(replace(A100, sm_peak=0.5, sm_p95=0.2)) == ("hollow", "2g.20gb")
    assert _verdict(replace(A100, sm_peak=0.9, sm_p95=0.6)) == ("full", None)
    # 40 % of an instance of 42 SMs are 17.
    assert _verdict(replace(HALF, sm_peak=0.9, sm_p95=0.4)) == ("hollow", "2g.20gb")
    # Utilisation says when, not how much.
    assert _verdict(replace(A100, util_peak=1.0, util_p95=1.0)) == ("hollow", "1g.20gb")


def test_idle_is_neither_memory_nor_activity() -> None:
    idle = replace(A100, memory_peak_mib=4, memory_p95_mib=4)
    assert _verdict(idle) == ("idle", None)
    assert "not measured" in " ".join(judge(idle).reasons)
    assert _verdict(replace(idle, util_peak=0.0, sm_peak=0.001)) == ("idle", None)
    assert _verdict(replace(idle, util_peak=0.4, util_p95=0.0)) == ("hollow", "1g.10gb")
    assert _verdict(replace(idle, memory_peak_mib=500), idle_memory_mib=512) == ("idle", None)
    assert judge(idle).unused_mib == 81920


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": 9}, "9 samples in 14 d, 10 are needed"),
        ({"samples": 1}, "1 sample in 14 d"),
        ({"covered": 0.49}, "there are samples for 49 % of 14 d, 50 % are needed"),
        ({"memory_peak_mib": None}, "the memory in use is not known"),
        ({"memory_total_mib": None}, "its size is not known"),
        ({"current": False}, "not seen any more at the end"),
        ({"memory_peak_mib": 9830 * 1024}, "9830.0 GiB in use are more than the 80.0 GiB that it has"),
    ],
)
def test_too_little_is_unknown_not_hollow(change: dict[str, object], reason: str) -> None:
    found = judge(replace(A100, **change))  # type: ignore[arg-type]
    assert (found.kind, found.fits, found.unused_mib) == ("unknown", None, None)
    assert reason in " ".join(found.reasons)


def test_a_little_more_than_the_table_has_is_no_contradiction() -> None:
    assert _verdict(replace(A100, memory_peak_mib=82000)) == ("full", None)
    mistaken = replace(A100, memory_peak_mib=9830 * 1024)
    assert (audit([mistaken]).totals.left_out, audit([mistaken]).totals.peak_mib) == (1, 0)


def test_thresholds_are_options() -> None:
    assert _verdict(replace(A100, memory_peak_mib=9700), headroom=0.0) == ("hollow", "1g.10gb")
    assert _verdict(A100, memory="p95") == ("hollow", "1g.10gb")
    assert _verdict(replace(A100, samples=9), min_samples=9) == ("hollow", "1g.20gb")


def test_a_product_without_profiles_is_judged_by_its_half() -> None:
    card = replace(A100, product=None, model="NVIDIA L4", memory_total_mib=23034, memory_peak_mib=9000)
    assert _verdict(card) == ("hollow", None)
    assert _verdict(replace(card, memory_peak_mib=9600)) == ("full", None)


def test_worst_first_and_what_it_amounts_to() -> None:
    """The voice pipeline: 9.6, 13.4 and 73.2 GB of three cards of 80 GB are 40 %."""
    pipeline = [
        replace(A100, gpu=gpu, uuid=f"GPU-{gpu}", memory_total_mib=80000, card_memory_mib=80000, memory_peak_mib=peak)
        for gpu, peak in ((0, 9600), (1, 13400), (2, 73200))
    ]
    found = audit(pipeline)
    assert [finding.usage.gpu for finding in found.findings] == [0, 1, 2]
    assert (found.totals.memory_mib, found.totals.peak_mib) == (240000, 96200)
    assert f"{found.totals.share:.0%}" == "40%"
    assert dict(found.totals.counts) == {"idle": 0, "hollow": 2, "unknown": 0, "full": 1}


def test_a_card_that_is_cut_counts_once_with_what_it_is_now() -> None:
    before = replace(A100, memory_peak_mib=70000, current=False)
    halves = [replace(HALF, gi_id=gi, start=start, memory_peak_mib=1000) for gi, start in ((1, 4), (2, 0))]
    totals = audit([before, *halves]).totals
    assert (totals.cards, totals.memory_mib, totals.peak_mib) == (1, 81920, 2000)


def test_workloads_stand_with_their_card_largest_first() -> None:
    rows = [replace(A100, workload=Labels(pod=name), memory_peak_mib=size) for name, size in (("a", 1), ("b", 2))]
    other = replace(A100, uuid="GPU-1", gpu=1)
    findings = audit([A100, other, *rows]).findings
    assert [[str(row.workload) for row in finding.workloads] for finding in findings] == [["b", "a"], []]
