"""`migprov audit --local` beside what nvidia-smi samples meanwhile."""

from __future__ import annotations

import json
import threading
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from . import cuda, smi
from .conftest import Comparisons, migprov

HELD_MIB = 20 * 1024
LARGEST_CONTEXT_MIB = 1024
SAMPLES = 13


def audited() -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """What the audit says of each card, and of each the highest memory (MiB) and utilisation that nvidia-smi saw."""
    seen: list[list[tuple[int, int]]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            seen.append([(int(used), int(busy)) for used, busy in smi.query("memory.used,utilization.gpu")])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        answer = migprov("audit", "--local", "--for", "6", "--every", "0.5", "--json")
    finally:
        done.set()
        thread.join()
    assert answer.code == 0, answer.err
    cards = [json.loads(line) for line in answer.out.splitlines()]
    most = [(max(row[gpu][0] for row in seen), max(row[gpu][1] for row in seen)) for gpu in range(len(seen[0]))]
    return cards, most


def on_the_first(cards: list[dict[str, Any]]) -> dict[str, Any]:
    return next(card for card in cards if card["usage"]["gpu"] == 0)


def test_nobody(to: Comparisons, gpus: list[ElementTree.Element]) -> None:
    if any(smi.processes(gpu) for gpu in gpus):
        pytest.skip("others work on these GPUs")
    cards, most = audited()
    to.same("cards", len(cards), len(gpus))
    for card in cards:
        index = card["usage"]["gpu"]
        of = f"nobody, GPU {index}: "
        to.same(of + "verdict", card["verdict"], "idle")
        to.within(of + "peak, MiB", card["usage"]["memory_peak_mib"], most[index][0] - 4, most[index][0] + 4)
        total = smi.mib(gpus[index].findtext("fb_memory_usage/total"))
        to.same(of + "memory, MiB", card["usage"]["memory_total_mib"], total)
        to.same(of + "model", card["usage"]["model"], gpus[index].findtext("product_name"))


@pytest.mark.parametrize("busy", [False, True], ids=["holding", "busy"])
def test_one_process(to: Comparisons, gpus: list[ElementTree.Element], busy: bool) -> None:
    if any(smi.processes(gpu) for gpu in gpus):
        pytest.skip("others work on these GPUs")
    with cuda.using(gpus[0].findtext("uuid") or "", HELD_MIB, busy=busy) as work:
        cards, most = audited()
        theirs = smi.processes(smi.state().findall("gpu")[0])
    card = on_the_first(cards)
    own = card["usage"]
    to.same("peak of the card, MiB", own["memory_peak_mib"], most[0][0])
    to.same("95th percentile, MiB", own["memory_p95_mib"], most[0][0])
    (workload,) = card["workloads"]
    to.same("peak of the process, MiB", workload["memory_peak_mib"], theirs[work.pid])
    to.within("process and context, MiB", workload["memory_peak_mib"], HELD_MIB, HELD_MIB + LARGEST_CONTEXT_MIB)
    to.same("command", str(workload["workload"]["command"])[:6], "python")
    to.same("samples", (own["samples"], own["covered"]), (SAMPLES, 1.0))
    if busy:
        to.within("utilisation", own["util_peak"], 0.9, 1.0)
        to.within("utilisation that nvidia-smi saw", most[0][1], 90, 100)
    fits = card["fits"]
    rows = {one.name: one.gib for one in smi.profiles()[0].values()}
    large = [gib for gib in rows.values() if gib * 1024 >= 1.2 * own["memory_peak_mib"]]
    to.same("verdict", card["verdict"], "hollow" if min(large) < max(rows.values()) else "full")
    to.same("what would do, GiB", rows.get(fits), min(large))
    for other in cards:
        if other is not card:
            to.same(f"GPU {other['usage']['gpu']}: verdict", other["verdict"], "idle")
